using System.Globalization;
using System.Text.RegularExpressions;
using Microsoft.Extensions.AI;

namespace Conclave.Inference.Routing;

/// <summary>How demanding a question probably is, from 0 to 1: a weighted sum of what can be seen of it without asking a model.</summary>
/// <param name="Score">The sum.</param>
/// <param name="Inputs">What it was made of.</param>
/// <remarks>
/// Every input is brought to 0…1 first. Weights: length 0.25 (logarithm of its tokens, 8,000 count as 1), reasoning 0.2 (words such as <i>why</i>,
/// <i>prove</i>, <i>compare</i>, <i>step by step</i>; 4 of them count as 1), tools 0.15 (10 count as 1), code 0.15 (a fenced block, or 6 signs of code
/// count as 1), turns 0.1 (20 messages count as 1), answer 0.1 (the longest answer allowed; 4,000 tokens count as 1), schema 0.05 (0.5 for JSON without one).
/// </remarks>
public sealed partial record Complexity(double Score, IReadOnlyList<ComplexityInput> Inputs)
{
    // Enough to see what it is about; a long document is long, whatever it says.
    private const int LongestText = 16_384;

    /// <summary>Looks at a question.</summary>
    public static Complexity Of(ChatCall call, CallNeeds needs)
    {
        // What is asked is in the last message of the user; the rest is what it is asked about.
        var question = call.Messages.LastOrDefault(m => m.Role == ChatRole.User)?.Text ?? "";
        if (question.Length > LongestText)
            question = question[..LongestText];
        var answer = call.Options.MaxOutputTokens ?? 0;
        var asked = needs.Tokens - answer;
        var tools = needs.Capabilities.HasFlag(ModelCapabilities.Tools) ? call.Options.Tools!.Count : 0;
        var words = ReasoningPattern().Count(question);
        var code = question.Contains("```", StringComparison.Ordinal) ? 6 : CodePattern().Count(question);
        var schema = call.Options.ResponseFormat switch
        {
            ChatResponseFormatJson { Schema: not null } => 1,
            ChatResponseFormatJson => 0.5,
            _ => 0,
        };
        ComplexityInput[] inputs =
        [
            new("length", asked, Math.Log2(1 + (asked / 100.0)) / Math.Log2(1 + 80), 0.25),
            new("reasoning", words, words / 4.0, 0.2),
            new("tools", tools, tools / 10.0, 0.15),
            new("code", code, code / 6.0, 0.15),
            new("turns", call.Messages.Count, (call.Messages.Count - 1) / 19.0, 0.1),
            new("answer", answer, answer / 4000.0, 0.1),
            new("schema", schema, schema, 0.05),
        ];
        inputs = [.. inputs.Select(i => i with { Value = Math.Clamp(i.Value, 0, 1) })];
        return new Complexity(Math.Round(Math.Clamp(inputs.Sum(i => i.Value * i.Weight), 0, 1), 4), inputs);
    }

    /// <summary>The sum in a sentence.</summary>
    public override string ToString() => string.Create(
        CultureInfo.InvariantCulture,
        $"The complexity is {Score:0.00}: {string.Join(" + ", Inputs.Where(i => i.Value > 0).Select(i => string.Create(CultureInfo.InvariantCulture, $"{i.Weight:0.##} × {i.Value:0.00} for {i.Name} ({i.Seen:0.#})")))}.");

    [GeneratedRegex(
        @"\b(why|how come|prove|proof|derive|explain|compare|contrast|analy[sz]e|evaluate|reason|trade-?offs?|step[ -]by[ -]step|plan|design|architect\w*|debug|optimi[sz]e|refactor|root cause|pros and cons|warum|wieso|beweise|erkl[äa]re|vergleiche|analysiere|begründe|pourquoi|expliqu\w+|compar\w+|por qu[ée]|explica)\b",
        RegexOptions.IgnoreCase | RegexOptions.CultureInvariant)]
    private static partial Regex ReasoningPattern();

    [GeneratedRegex(@"(;\s*$|[{}]\s*$|=>|==|!=|\w+\(\w*\)|\b(def|class|function|import|return|public|const|select\s.+\sfrom)\b\s*\S)", RegexOptions.Multiline | RegexOptions.CultureInvariant)]
    private static partial Regex CodePattern();
}

/// <summary>One input of a complexity.</summary>
/// <param name="Name">Its name.</param>
/// <param name="Seen">What was seen, such as a number of tokens.</param>
/// <param name="Value">The same from 0 to 1.</param>
/// <param name="Weight">What it counts.</param>
public sealed record ComplexityInput(string Name, double Seen, double Value, double Weight);
