using System.Text;

namespace Conclave.Inference.Pool;

/// <summary>How processes on one database share the slots of a server: each has a fixed part, so that none has to ask another for each call.</summary>
/// <remarks>
/// Every process gets <c>slots / processes</c>; the remainder goes to some of them, others for each server. A server with fewer slots than
/// there are processes is used by as many processes as it has slots.
/// </remarks>
public static class SlotShare
{
    /// <summary>The part of one process.</summary>
    /// <param name="serverId">The server.</param>
    /// <param name="slots">Its slots.</param>
    /// <param name="node">This process.</param>
    /// <param name="nodes">All processes that live, this one among them, in the same order everywhere.</param>
    public static int Of(string serverId, int slots, string node, IReadOnlyList<string> nodes)
    {
        var rank = 0;
        while (rank < nodes.Count && nodes[rank] != node)
            rank++;
        if (rank == nodes.Count)
            return 0;
        var place = (rank + (int)(Hash(serverId) % (uint)nodes.Count)) % nodes.Count;
        return (slots / nodes.Count) + (place < slots % nodes.Count ? 1 : 0);
    }

    // FNV-1a: the same in every process, unlike string.GetHashCode.
    private static uint Hash(string text)
    {
        var hash = 2166136261u;
        foreach (var value in Encoding.UTF8.GetBytes(text))
            hash = (hash ^ value) * 16777619;
        return hash;
    }
}
