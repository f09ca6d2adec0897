using Conclave.Agents.Activities;

namespace Conclave.Tests.Agents;

/// <summary>What goes in circles is found, what moves is not.</summary>
public sealed class TurnProgressTests
{
    [Theory]
    [InlineData("a a a", 3, true)]
    [InlineData("a a", 3, false)]
    [InlineData("x a a a", 3, true)]
    [InlineData("a b a b a b", 3, true)]
    [InlineData("a b a b a", 3, false)]
    [InlineData("a b c a b c a b c", 3, true)]
    [InlineData("a b c d a b c d a b c d", 3, false)]
    [InlineData("a b a c a d a e", 2, false)]
    [InlineData("a a", 2, true)]
    public void IsCircle_RoundsOfTools_FindsUpToThreeInARow(string rounds, int times, bool expected)
    {
        var progress = new TurnProgress(0, 0, 0, []);
        foreach (var round in rounds.Split(' '))
            progress = progress.Asked(0, TimeSpan.Zero).Called("tool", $$"""{"q":"{{round}}"}""", "same");
        Assert.Equal(expected, progress.IsCircle(times));
    }

    [Fact]
    public void IsCircle_SameCallsOtherResults_IsProgress()
    {
        var progress = new TurnProgress(0, 0, 0, []);
        for (var i = 0; i < 5; i++)
            progress = progress.Asked(0, TimeSpan.Zero).Called("poll", "{}", $"{i * 20} %");
        Assert.False(progress.IsCircle(3));
    }

    [Fact]
    public void IsCircle_RoundsWithoutCalls_IsNone()
    {
        var progress = new TurnProgress(0, 0, 0, []);
        for (var i = 0; i < 5; i++)
            progress = progress.Asked(0.5m, TimeSpan.FromSeconds(2));
        Assert.False(progress.IsCircle(3));
        Assert.Equal((5, 2.5m, 10d), (progress.Steps, progress.Cost, progress.Seconds));
    }
}
