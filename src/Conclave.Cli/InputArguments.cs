using System.Text.Json;

namespace Conclave.Cli;

/// <summary>Reads <c>name=json</c>, <c>name=@file</c>, and text that is not JSON as it is.</summary>
internal static class InputArguments
{
    /// <summary>Reads named values; a name given twice takes the last.</summary>
    /// <param name="option">What to call the arguments in errors, such as <c>--input</c>.</param>
    /// <param name="arguments">The arguments as they were given.</param>
    /// <param name="cancellationToken">Stops reading files.</param>
    /// <exception cref="CommandException">One is malformed or its file cannot be read.</exception>
    public static async Task<Dictionary<string, JsonElement>> ReadAsync(
        string option, IEnumerable<string> arguments, CancellationToken cancellationToken)
    {
        var values = new Dictionary<string, JsonElement>(StringComparer.Ordinal);
        foreach (var argument in arguments)
        {
            var equals = argument.IndexOf('=', StringComparison.Ordinal);
            if (equals <= 0)
                throw CommandException.BadInput($"{option} '{argument}': write it as name=json, for example {Example(option)}Total=12.5");
            var name = argument[..equals];
            values[name] = await ReadValueAsync($"{option} {name}", argument[(equals + 1)..], cancellationToken);
        }

        return values;
    }

    /// <summary>Reads one value: <c>@file</c>, JSON or plain text.</summary>
    /// <param name="option">What to call the argument in errors.</param>
    /// <param name="text">The argument as it was given.</param>
    /// <param name="cancellationToken">Stops reading the file.</param>
    /// <exception cref="CommandException">The file cannot be read.</exception>
    public static async Task<JsonElement> ReadValueAsync(string option, string text, CancellationToken cancellationToken)
    {
        try
        {
            if (text.StartsWith('@'))
                text = await File.ReadAllTextAsync(text[1..], cancellationToken);
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException or ArgumentException)
        {
            throw CommandException.BadInput($"{option}: {exception.Message}");
        }

        try
        {
            return JsonElement.Parse(text);
        }
        catch (JsonException)
        {
            return JsonText.Of(text);
        }
    }

    private static string Example(string option) => option.StartsWith('-') ? $"{option} " : "";
}
