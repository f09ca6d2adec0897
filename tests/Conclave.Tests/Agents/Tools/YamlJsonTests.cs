using Conclave.Agents.Tools;

namespace Conclave.Tests.Agents.Tools;

public sealed class YamlJsonTests
{
    [Theory]
    [InlineData("[")]
    [InlineData("- ")]
    [InlineData("{a: ")]
    public void Read_NestsWithoutEnd_IsRefusedAndNotFatal(string piece) =>
        Assert.Throws<FormatException>(() => YamlJson.Read(string.Concat(Enumerable.Repeat(piece, 300_000 / piece.Length))));

    [Fact]
    public void Read_AsDeepAsAllowed_IsRead() =>
        Assert.Equal(System.Text.Json.JsonValueKind.Array, YamlJson.Read(new string('[', 48) + new string(']', 48)).ValueKind);
}
