using System.Text.RegularExpressions;

namespace Conclave.Inference.Pool;

/// <summary>What a server must be like.</summary>
internal static partial class ServerRules
{
    /// <summary>What is wrong with a server, in a sentence that says what it may be; null when nothing is.</summary>
    public static string? Problem(ModelServer server, IReadOnlyCollection<string> providers)
    {
        if (!NamePattern().IsMatch(server.Name))
            return $"'name' must be 1 to 63 letters, digits, '-', '_' or '.'; it is '{server.Name}'.";
        if (!providers.Contains(server.Provider))
            return $"'provider' must be one of {string.Join(", ", providers.Order())}; it is '{server.Provider}'.";
        if (server.Provider == Scripted ? server.Address.Scheme is not "file" : server.Address.Scheme is not ("http" or "https"))
            return server.Provider == Scripted
                ? $"'address' of a scripted server must be a file, such as file:///etc/conclave/answers.yaml; it is '{server.Address}'."
                : $"'address' must be an address such as http://gpu1:11434, without /v1 or /api; it is '{server.Address.GetLeftPart(UriPartial.Path)}'.";
        if (server.Address.UserInfo.Length > 0 || server.Address.Query.Length > 0 || server.Address.Fragment.Length > 0)
            return "'address' must have no user name, query or fragment. A key goes into 'apiKey'.";
        if (server.Slots is < 1 or > 10_000)
            return $"'slots' must be 1 to 10,000; it is {server.Slots}.";
        if (server.Timeout < TimeSpan.FromSeconds(1) || server.Timeout > TimeSpan.FromHours(1))
            return $"'timeoutSeconds' must be 1 to 3,600; it is {server.Timeout.TotalSeconds:0.###}.";
        if (server.Tags.Count > 50 || server.Tags.Any(t => !TagPattern().IsMatch(t)))
            return "'tags' must be at most 50 words of letters, digits, '-', '_', '.', ':', '/' and at most 63 characters.";
        if (server.Models.Count > 1_000 || server.Models.Any(m => m.Name.Length is 0 or > 255))
            return "'models' must be at most 1,000, with names of 1 to 255 characters.";
        if (server.Models.FirstOrDefault(m => m.InputPrice < 0 || m.OutputPrice < 0 || m.ContextSize < 1) is { } odd)
            return $"'models': the prices of '{odd.Name}' must not be below 0, nor its context size below 1.";
        return server.Models.GroupBy(m => m.Name, StringComparer.OrdinalIgnoreCase).FirstOrDefault(g => g.Count() > 1) is { } twice
            ? $"'models' has '{twice.Key}' twice."
            : null;
    }

    /// <summary>Name of the kind of server that answers from a file.</summary>
    public const string Scripted = "scripted";

    /// <summary>Whether two servers are the same in every member.</summary>
    public static bool AreEqual(ModelServer some, ModelServer other) =>
        some with { Tags = other.Tags, Models = other.Models } == other && some.Tags.SequenceEqual(other.Tags) && some.Models.SequenceEqual(other.Models);

    [GeneratedRegex(@"^[A-Za-z0-9._-]{1,63}\z")]
    private static partial Regex NamePattern();

    [GeneratedRegex(@"^[A-Za-z0-9._:/-]{1,63}\z")]
    private static partial Regex TagPattern();
}
