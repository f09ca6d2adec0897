using System.Text;

namespace Conclave.Cli.Server;

/// <summary>A path of the server's API, relative to its address, with every part escaped.</summary>
internal sealed class ApiPath
{
    private readonly StringBuilder _text = new("api");
    private bool _hasQuery;

    /// <summary>The path <c>api/…</c> of the given parts.</summary>
    /// <exception cref="CommandException">A part is empty or consists of dots, so that it would lead elsewhere.</exception>
    public static ApiPath Of(params ReadOnlySpan<string> parts)
    {
        var path = new ApiPath();
        foreach (var part in parts)
        {
            if (part.Trim() is "" or "." or "..")
                throw CommandException.BadInput($"'{part}' is no id or name.");
            path._text.Append('/').Append(Uri.EscapeDataString(part));
        }

        return path;
    }

    /// <summary>Adds a query parameter, unless it has no value.</summary>
    public ApiPath With(string name, string? value)
    {
        if (value is null)
            return this;
        _text.Append(_hasQuery ? '&' : '?').Append(name).Append('=').Append(Uri.EscapeDataString(value));
        _hasQuery = true;
        return this;
    }

    public override string ToString() => _text.ToString();
}
