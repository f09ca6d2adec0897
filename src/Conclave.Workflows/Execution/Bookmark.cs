using System.Globalization;
using System.Text;
using Conclave.Workflows.Expressions;

namespace Conclave.Workflows.Execution;

/// <summary>A place where an instance waits for something from outside.</summary>
/// <param name="Number">Number within the instance, from 1.</param>
/// <param name="Name">Name of the stimulus, usually the activity's type.</param>
/// <param name="Payload">What the stimulus must match, and what a trigger needs to fire it.</param>
/// <param name="Context">The activity that waits.</param>
/// <param name="CreatedAt">When the activity began to wait.</param>
/// <param name="AutoBurn">Whether the bookmark is gone once it was resumed.</param>
public sealed record Bookmark(
    int Number, string Name, BookmarkPayload Payload, ActivityContext Context, DateTimeOffset CreatedAt, bool AutoBurn = true)
{
    /// <summary>Id that is unique across instances.</summary>
    public string Id => $"{Context.Instance.Id}:{Number}";

    /// <summary>When the bookmark is due by itself; null when it waits for somebody else.</summary>
    public DateTimeOffset? DueAt => Payload.DueAt;
}

/// <summary>The data of a bookmark: a type name and members, in the shape that Elsa's records have.</summary>
/// <param name="Type">Name of the payload type, for example <c>DelayPayload</c>.</param>
/// <param name="Members">Members in order; values are workflow values.</param>
public sealed record BookmarkPayload(string Type, params (string Name, object? Value)[] Members)
{
    /// <summary>The member that says when the bookmark is due: a date named <c>ResumeAt</c> or <c>ExecuteAt</c>.</summary>
    public DateTimeOffset? DueAt
    {
        get
        {
            foreach (var (name, value) in Members)
            {
                if (name is "ResumeAt" or "ExecuteAt" && value is DateTimeOffset due)
                    return due;
            }

            return null;
        }
    }

    /// <summary>A member's value; null when there is none of that name.</summary>
    public object? this[string name] => Array.Find(Members, m => m.Name == name).Value;

    /// <summary>The payload as text, for example <c>EventStimulus { EventName = Paid }</c>.</summary>
    public string ToString(Func<object?, string?>? format)
    {
        var text = new StringBuilder(Type).Append(" { ");
        for (var i = 0; i < Members.Length; i++)
        {
            if (i > 0)
                text.Append(", ");
            text.Append(CultureInfo.InvariantCulture, $"{Members[i].Name} = {(format ?? ValueConverter.ToText)(Members[i].Value)}");
        }

        return text.Append(" }").ToString();
    }

    /// <inheritdoc/>
    public override string ToString() => ToString(null);
}
