using Conclave.Inference.Pool;

namespace Conclave.Tests.Inference.Pool;

public sealed class SlotShareTests
{
    [Theory]
    [InlineData(1, 1)]
    [InlineData(1, 3)]
    [InlineData(4, 3)]
    [InlineData(10_000, 7)]
    [InlineData(2, 5)]
    public void Of_EveryNode_SharesAddUpAndDifferByOne(int slots, int count)
    {
        var nodes = Enumerable.Range(0, count).Select(i => $"n{i}").ToList();
        for (var server = 0; server < 50; server++)
        {
            var shares = nodes.Select(n => SlotShare.Of($"s{server}", slots, n, nodes)).ToList();
            Assert.Equal(slots, shares.Sum());
            Assert.InRange(shares.Max() - shares.Min(), 0, 1);
        }
    }

    [Fact]
    public void Of_MoreNodesThanSlots_OtherNodesForOtherServers()
    {
        var nodes = new[] { "a", "b", "c" };
        var holders = Enumerable.Range(0, 100).Select(s => nodes.First(n => SlotShare.Of($"s{s}", 1, n, nodes) == 1)).ToHashSet();
        Assert.Equal(3, holders.Count);
    }

    [Fact]
    public void Of_NodeThatIsNotThere_HasNone() => Assert.Equal(0, SlotShare.Of("s", 4, "x", ["a", "b"]));
}
