namespace Conclave.Workflows.Execution;

// What those may see who show an instance.
public sealed partial class ActivityContext
{
    /// <summary>Executions that this one scheduled and that have not been released, oldest first.</summary>
    public IEnumerable<ActivityContext> Children
    {
        get
        {
            for (var child = FirstChild; child is not null; child = child.NextSibling)
                yield return child;
        }
    }

    /// <summary>Evaluated and literal inputs by name, without those that must not be shown.</summary>
    public IReadOnlyDictionary<string, object?> InputValues =>
        JournalValues.Inputs(Node, Inputs is null ? null : new ActivityDetails(Inputs, null, null));

    /// <summary>Variables that only this execution has, such as <c>CurrentValue</c> of a loop.</summary>
    public IEnumerable<KeyValuePair<string, object?>> DynamicValues => (Dynamic ?? []).Select(d => KeyValuePair.Create(d.Name, d.Value));
}
