using System.Security.Cryptography;
using System.Text;
using Conclave.Workflows.Execution;
using Conclave.Workflows.Expressions;
using Conclave.Workflows.Http;

namespace Conclave.Workflows.Runtime.Instances;

/// <summary>How a stimulus finds the bookmarks and triggers that wait for it: its name and the members that must match, hashed.</summary>
public static class BookmarkKey
{
    /// <summary>Key of a bookmark or trigger. Dates do not count: they say when it is due, not what it waits for.</summary>
    public static byte[] Of(string name, BookmarkPayload payload) => payload.Type switch
    {
        "RunTaskStimulus" => Of(name, Text(payload["TaskId"])),
        Activities.HttpEndpoint.PayloadType => Of(name, HttpEndpointPath.Normalize(Text(payload["Path"])), Text(payload["Method"])),
        _ => Of(name, payload.Members.Where(m => m.Value is string).Select(m => Text(m.Value))),
    };

    /// <summary>Key of a stimulus.</summary>
    /// <param name="name">Name of the stimulus, usually the activity's type.</param>
    /// <param name="values">The members that must match, in order, for example the event's name.</param>
    public static byte[] Of(string name, params IEnumerable<string> values)
    {
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        foreach (var part in values.Prepend(name))
        {
            hash.AppendData(Encoding.UTF8.GetBytes(part));
            hash.AppendData([0]);
        }

        return hash.GetHashAndReset();
    }

    private static string Text(object? value) => ValueConverter.ToText(value) ?? "";
}
