using System.Text.Json;
using System.Text.RegularExpressions;

namespace Conclave.Agents.Tools;

/// <summary>Refuses arguments that no honest call has: paths out of the workspace, inclusion of files and pages, rights that nobody gave, characters that programs read differently.</summary>
/// <remarks>
/// <para>What an argument is, its schema says with <c>x-check</c>: <c>path</c>, <c>url</c>, <c>command</c> (a word of a command line), <c>text</c> and <c>code</c> (anything goes but NUL).
/// Where it says nothing, the name tells (<c>path</c>, <c>file</c>, <c>folder</c>, <c>directory</c>, <c>url</c> and names that end so); what is left is a word for tools that run commands, else text.</para>
/// <para>These are a first fence. What a command can reach is decided by the sandbox, whatever its arguments are.</para>
/// </remarks>
public static partial class InputValidators
{
    private const int LongestPath = 1_024;
    private const int LongestUrl = 8_192;

    /// <summary>What is wrong with arguments; null when nothing is.</summary>
    /// <param name="schema">Schema of the arguments.</param>
    /// <param name="arguments">The arguments; they fit it.</param>
    /// <param name="runsCommands">Whether the tool makes command lines of them.</param>
    public static InputProblem? Check(JsonElement schema, JsonElement arguments, bool runsCommands) => Check("", null, schema, arguments, runsCommands);

    private static InputProblem? Check(string path, string? name, JsonElement schema, JsonElement value, bool runsCommands)
    {
        switch (value.ValueKind)
        {
            case JsonValueKind.Object:
                foreach (var member in value.EnumerateObject())
                {
                    if (member.Name.Contains('\0', StringComparison.Ordinal))
                        return new InputProblem("tool.input_nul", $"{path}: a name has a NUL character.");
                    if (member.Name is "__proto__" or "constructor" or "prototype")
                        return new InputProblem("tool.input_prototype", $"{path}/{member.Name}: this name is not allowed.");
                    if (Check($"{path}/{member.Name}", member.Name, Part(schema, member.Name), member.Value, runsCommands) is { } problem)
                        return problem;
                }

                return null;
            case JsonValueKind.Array:
                var items = schema.ValueKind == JsonValueKind.Object && schema.TryGetProperty("items", out var inner) ? inner : default;
                var index = 0;
                foreach (var item in value.EnumerateArray())
                {
                    // An array of paths is checked as paths are: what it is called, its items are.
                    if (Check($"{path}/{index++}", name, items.ValueKind == JsonValueKind.Object && items.TryGetProperty("x-check", out _) ? items : schema, item, runsCommands) is { } problem)
                        return problem;
                }

                return null;
            case JsonValueKind.String:
                return Check(path, CheckOf(schema, name, runsCommands), value.GetString()!);
            default:
                return null;
        }
    }

    private static JsonElement Part(JsonElement schema, string name)
    {
        return schema.ValueKind == JsonValueKind.Object && schema.TryGetProperty("properties", out var properties) && properties.ValueKind == JsonValueKind.Object
            && properties.TryGetProperty(name, out var part) ? part : default;
    }

    private static string CheckOf(JsonElement schema, string? name, bool runsCommands)
    {
        if (schema.ValueKind == JsonValueKind.Object && schema.TryGetProperty("x-check", out var check) && check.ValueKind == JsonValueKind.String)
            return check.GetString()!;
        if (name is not null && PathName().IsMatch(name))
            return "path";
        if (name is not null && UrlName().IsMatch(name))
            return "url";
        return runsCommands ? "command" : "text";
    }

    private static InputProblem? Check(string path, string check, string text)
    {
        if (text.Contains('\0', StringComparison.Ordinal))
            return new InputProblem("tool.input_nul", $"{path} has a NUL character.");
        return check switch
        {
            "path" => CheckPath(path, text),
            "url" => CheckUrl(path, text),
            "command" => CheckCommand(path, text),
            _ => null,
        };
    }

    /// <summary>What is wrong with a path of the workspace; null when nothing is.</summary>
    internal static InputProblem? CheckPath(string path, string text)
    {
        if (text.Length > LongestPath)
            return Bad("tool.input_path", "is longer than a path may be");
        // Decoded until nothing changes, since whoever opens it may decode it once more.
        var plain = text;
        for (var i = 0; i < 5 && Uri.UnescapeDataString(plain) is var decoded && decoded != plain; i++)
            plain = decoded;
        plain = plain.Replace('\\', '/').Normalize(System.Text.NormalizationForm.FormKC);
        if (plain.Any(char.IsControl))
            return Bad("tool.input_path", "has control characters");
        if (Scheme().IsMatch(plain))
            return Bad("tool.input_inclusion", "is a URL, where a file of the workspace is meant");
        if (plain.StartsWith('/') || plain.StartsWith('~') || DriveLetter().IsMatch(plain))
            return Bad("tool.input_path", "must be relative to the workspace");
        if (plain.Split('/').Any(s => s.Trim() is ".."))
            return Bad("tool.input_path", "leaves the workspace");
        return plain.StartsWith('-') ? Bad("tool.input_option", "begins with '-', which programs read as an option") : null;

        InputProblem Bad(string code, string problem) => new(code, $"{path} {problem}: '{Show(text)}'.");
    }

    private static InputProblem? CheckUrl(string path, string text)
    {
        if (text.Length > LongestUrl || !Uri.TryCreate(text, UriKind.Absolute, out var url) || url.Scheme is not ("http" or "https"))
            return new InputProblem("tool.input_inclusion", $"{path} must be an http or https URL: '{Show(text)}'.");
        if (url.UserInfo.Length > 0)
            return new InputProblem("tool.input_url", $"{path} must not carry a name or password.");
        return text.Any(c => char.IsControl(c) || c == ' ') ? new InputProblem("tool.input_url", $"{path} has white space or control characters.") : null;
    }

    private static InputProblem? CheckCommand(string path, string text)
    {
        if (text.StartsWith('-'))
            return new InputProblem("tool.input_option", $"{path} begins with '-', which programs read as an option: '{Show(text)}'.");
        if (Privilege().Match(text) is { Success: true } privilege)
            return new InputProblem("tool.input_privilege", $"{path} asks for rights that tools do not have ('{privilege.Value.Trim()}').");
        if (Inclusion().IsMatch(text))
            return new InputProblem("tool.input_inclusion", $"{path} includes something from elsewhere: '{Show(text)}'.");
        return text.Replace('\\', '/').Split('/', ' ', '=').Any(s => s == "..") || MachineFolder().IsMatch(text)
            ? new InputProblem("tool.input_path", $"{path} names something outside the workspace: '{Show(text)}'.") : null;
    }

    private static string Show(string text) => text.Length <= 100 ? text : text[..100] + "…";

    [GeneratedRegex("^(?:path|paths|file|files|folder|directory|dir|cwd|filename|.*(?:Path|File|Folder|Directory|_path|_file|_folder|_dir))$", RegexOptions.CultureInvariant)]
    private static partial Regex PathName();

    [GeneratedRegex("^(?:url|urls|uri|href|.*(?:Url|Uri|_url|_uri))$", RegexOptions.CultureInvariant)]
    private static partial Regex UrlName();

    [GeneratedRegex("^[A-Za-z][A-Za-z0-9+.-]*:", RegexOptions.CultureInvariant)]
    private static partial Regex Scheme();

    [GeneratedRegex("^[A-Za-z]:", RegexOptions.CultureInvariant)]
    private static partial Regex DriveLetter();

    [GeneratedRegex(@"(?:^|[\s;|&`(/])(?:sudo|doas|pkexec|su|nsenter|unshare|chroot|setpriv|setcap|capsh|mount|umount|insmod|modprobe)(?:[\s;|&`)]|$)|chmod\s+(?:[ugo]*\+[rwx]*s|[2467][0-7]{3}\b)|/etc/(?:shadow|sudoers)", RegexOptions.CultureInvariant)]
    private static partial Regex Privilege();

    [GeneratedRegex(@"\b(?:file|php|data|expect|phar|zip|glob|jar|netdoc|gopher|dict|ldap|ext)::?//|\bext::", RegexOptions.CultureInvariant | RegexOptions.IgnoreCase)]
    private static partial Regex Inclusion();

    [GeneratedRegex(@"(?:^|[\s=:])/(?:etc|proc|sys|dev|root|home|var|boot|run)(?:/|\s|$)", RegexOptions.CultureInvariant)]
    private static partial Regex MachineFolder();
}

/// <summary>Why arguments are refused.</summary>
/// <param name="Code">Stable code.</param>
/// <param name="Message">What is wrong and where.</param>
public sealed record InputProblem(string Code, string Message);
