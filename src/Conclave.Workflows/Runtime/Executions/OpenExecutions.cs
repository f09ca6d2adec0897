namespace Conclave.Workflows.Runtime.Executions;

/// <summary>Executions that began and have not ended.</summary>
public sealed class OpenExecutions
{
    private readonly Dictionary<int, (int Parent, int Depth)> _open = [];

    /// <summary>Notes that one began.</summary>
    public void Begin(int number, int parent) => _open[number] = (parent, parent == 0 ? 0 : DepthOf(parent) + 1);

    /// <summary>Notes that one ended.</summary>
    public void End(int number) => _open.Remove(number);

    /// <summary>The execution that scheduled one; 0 for the workflow itself, and when nobody knows.</summary>
    public int ParentOf(int number) => _open.TryGetValue(number, out var found) ? found.Parent : 0;

    /// <summary>Number of executions above one; 0 when nobody knows.</summary>
    public int DepthOf(int number) => _open.TryGetValue(number, out var found) ? found.Depth : 0;

    /// <summary>An execution and those above it, from the inside out.</summary>
    public IEnumerable<int> PathOf(int number)
    {
        while (true)
        {
            yield return number;
            if (!_open.TryGetValue(number, out var found) || found.Parent == 0)
                yield break;
            number = found.Parent;
        }
    }
}
