using System.Text;
using System.Text.Json;

namespace Conclave.Agents.Tools.Command;

/// <summary>Makes a command's words of a template and a call's arguments. No shell reads them: an argument is one word, whatever is in it.</summary>
/// <remarks>
/// A template is an array of: a text, in which <c>{{name}}</c> stands for an argument (a text whose argument is missing is left out); <c>{"each": name}</c>, a word for each item;
/// <c>{"when": name, "words": […]}</c>, words that are there when the argument is; <c>{"switch": name, "cases": {value: […]}}</c>, words by an argument's value.
/// </remarks>
internal static class CommandTemplate
{
    private const int Deepest = 8;

    /// <summary>What is wrong with a template, a sentence each.</summary>
    public static IEnumerable<string> Check(JsonElement template, int depth = 0)
    {
        if (template.ValueKind != JsonValueKind.Array || depth > Deepest)
        {
            yield return $"settings.command: must be an array of words, at most {Deepest} levels deep.";
            yield break;
        }

        foreach (var item in template.EnumerateArray())
        {
            if (item.ValueKind == JsonValueKind.String)
                continue;
            if (item.ValueKind != JsonValueKind.Object)
                yield return $"settings.command: {item.GetRawText()} is neither a text nor an object.";
            else if (item.Text("each") is null && item.Text("when") is null && item.Text("switch") is null)
                yield return "settings.command: an object must have 'each', 'when' or 'switch'.";
            else if (item.Text("when") is not null)
            {
                foreach (var problem in Check(item.Member("words"), depth + 1))
                    yield return problem;
            }
            else if (item.Text("switch") is not null)
            {
                if (item.Member("cases").ValueKind != JsonValueKind.Object)
                    yield return "settings.command: a 'switch' must have 'cases'.";
                else
                {
                    foreach (var problem in item.Member("cases").EnumerateObject().SelectMany(c => Check(c.Value, depth + 1)))
                        yield return problem;
                }
            }
        }
    }

    /// <summary>The words.</summary>
    /// <exception cref="ToolException">No case of a switch fits.</exception>
    public static List<string> Words(JsonElement template, JsonElement arguments)
    {
        var words = new List<string>();
        Add(template);
        return words;

        void Add(JsonElement items)
        {
            foreach (var item in items.EnumerateArray())
            {
                if (item.ValueKind == JsonValueKind.String)
                {
                    if (Fill(item.GetString()!, arguments) is { } word)
                        words.Add(word);
                }
                else if (item.Text("each") is { } each)
                {
                    if (arguments.Member(each) is { ValueKind: JsonValueKind.Array } array)
                        words.AddRange(array.EnumerateArray().Select(i => i.Word()));
                }
                else if (item.Text("when") is { } when)
                {
                    if (arguments.IsSet(when))
                        Add(item.Member("words"));
                }
                else if (item.Text("switch") is { } name)
                {
                    var value = arguments.Member(name) is { ValueKind: not JsonValueKind.Undefined } given ? given.Word() : "";
                    var chosen = item.Member("cases").Member(value);
                    Add(chosen.ValueKind == JsonValueKind.Array ? chosen
                        : throw new ToolException("tool.arguments_invalid", $"'{name}' must be one of {string.Join(", ", item.Member("cases").EnumerateObject().Select(c => c.Name))}; it is '{value}'."));
                }
            }
        }
    }

    /// <summary>A text with its arguments; null when one is missing.</summary>
    public static string? Fill(string text, JsonElement arguments, Func<string, string>? encode = null)
    {
        if (!text.Contains("{{", StringComparison.Ordinal))
            return text;
        var filled = new StringBuilder(text.Length);
        for (var at = 0; at < text.Length;)
        {
            var open = text.IndexOf("{{", at, StringComparison.Ordinal);
            var close = open < 0 ? -1 : text.IndexOf("}}", open, StringComparison.Ordinal);
            if (close < 0)
            {
                filled.Append(text, at, text.Length - at);
                break;
            }

            var name = text[(open + 2)..close].Trim();
            if (!arguments.IsSet(name) && arguments.Member(name).ValueKind != JsonValueKind.False)
                return null;
            filled.Append(text, at, open - at);
            var word = arguments.Member(name).Word();
            filled.Append(encode is null ? word : encode(word));
            at = close + 2;
        }

        return filled.ToString();
    }
}
