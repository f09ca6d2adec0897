using System.Security.Cryptography;
using System.Text;
using Conclave.Workflows.Execution;
using Conclave.Workflows.Expressions;

namespace Conclave.Workflows.Runtime.Instances;

/// <summary>How a stimulus finds the bookmarks that wait for it: the stimulus name and the members that must match, hashed.</summary>
public static class BookmarkKey
{
    /// <summary>Key of a bookmark. Dates do not count: they say when it is due, not what it waits for.</summary>
    public static byte[] Of(string name, BookmarkPayload payload) =>
        Of(name, payload.Members.Where(m => m.Value is string).Select(m => ValueConverter.ToText(m.Value) ?? ""));

    /// <summary>Key of a stimulus.</summary>
    /// <param name="name">Name of the stimulus, usually the activity's type.</param>
    /// <param name="values">The textual members of the bookmark's payload, in order, for example the event's name.</param>
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
}
