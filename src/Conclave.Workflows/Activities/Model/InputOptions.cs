using System.Net;

namespace Conclave.Workflows.Activities;

/// <summary>What an author may choose for an input.</summary>
internal static class InputOptions
{
    /// <summary>The options of an input; empty when any value may be given.</summary>
    /// <param name="attribute">What the class says about the input.</param>
    /// <param name="type">Type of its value.</param>
    public static IReadOnlyList<InputOption> Of(InputAttribute attribute, Type type)
    {
        IEnumerable<InputOption> options = attribute.Options is { } given ? given.Select(o => new InputOption(o, o))
            : type == typeof(HttpStatusCode) ? StatusCodes()
            : type.IsEnum ? Enum.GetNames(type).Select(n => new InputOption(n, n))
            : [];
        return attribute.EmptyOption is { } text ? [new InputOption("", text), .. options] : [.. options];
    }

    /// <summary>Statuses that end a request, with their numbers: people know 404 rather than NotFound.</summary>
    private static IEnumerable<InputOption> StatusCodes() => Enum.GetValues<HttpStatusCode>()
        .Distinct()
        .Where(s => (int)s is >= 200 and <= 599)
        .Select(s => new InputOption(s.ToString(), $"{(int)s} {ActivityType.Words(s.ToString())}"));
}
