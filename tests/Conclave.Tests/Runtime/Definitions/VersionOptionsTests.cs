using Conclave.Workflows.Runtime.Definitions;

namespace Conclave.Tests.Runtime.Definitions;

public sealed class VersionOptionsTests
{
    [Theory]
    [InlineData("Latest", VersionKind.Latest, 0)]
    [InlineData("Published", VersionKind.Published, 0)]
    [InlineData("Draft", VersionKind.Draft, 0)]
    [InlineData("LatestOrPublished", VersionKind.LatestOrPublished, 0)]
    [InlineData("LatestAndPublished", VersionKind.LatestAndPublished, 0)]
    [InlineData("AllVersions", VersionKind.AllVersions, 0)]
    [InlineData("1", VersionKind.Number, 1)]
    [InlineData("2147483647", VersionKind.Number, int.MaxValue)]
    public void TryParse_ElsasNotation_IsRead(string text, VersionKind kind, int version)
    {
        Assert.True(VersionOptions.TryParse(text, out var options));
        Assert.Equal(new VersionOptions(kind, version), options);
    }

    [Theory]
    [InlineData("")]
    [InlineData(" ")]
    [InlineData("latest")]
    [InlineData("Number")]
    [InlineData("Latest, Published")]
    [InlineData("0")]
    [InlineData("-1")]
    [InlineData("+1")]
    [InlineData("2147483648")]
    [InlineData("1.0")]
    public void TryParse_AnythingElse_IsNot(string text) => Assert.False(VersionOptions.TryParse(text, out _));
}
