using System.Globalization;
using System.Text.Encodings.Web;
using System.Text.Json;
using Conclave.Agents.Turns;

namespace Conclave.Server.Web.Agents;

/// <summary>A step of a turn, for people.</summary>
/// <param name="Id">Number of its event.</param>
/// <param name="Kind">What it is: model, tool, failed, asked or decided.</param>
/// <param name="What">What happened.</param>
/// <param name="Detail">More of it; null for nothing.</param>
/// <param name="Link">Where something can be done about it; null for nowhere.</param>
internal sealed record TurnStep(long Id, string Kind, string What, string? Detail = null, string? Link = null)
{
    private static readonly JsonSerializerOptions Indented = new() { WriteIndented = true, Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    /// <summary>The step of an event; null for those that the page shows in another way.</summary>
    public static TurnStep? Of(AgentEvent happened)
    {
        var data = happened.Data;
        return happened.Type switch
        {
            "model.completed" when Member(data, "toolCalls") is { } calls => new(happened.Id, "model", $"Wants {string.Join(", ", Names(calls))}", Text(data, "text")),
            "tool.requested" => new(happened.Id, "asked", $"{Text(data, "tool")} needs somebody's approval", Call(data)),
            "tool.denied" => new(happened.Id, "failed", $"{Text(data, "tool")} is not allowed: {Text(data, "reason")}", Call(data)),
            "tool.started" => new(happened.Id, "tool", $"{Text(data, "tool")} runs", Call(data)),
            "tool.completed" => new(happened.Id, "tool", $"{Text(data, "tool")} ran{Took(data)}", Call(data)),
            "tool.failed" => new(happened.Id, "failed", $"{Text(data, "tool")} failed{Took(data)}", Call(data)),
            "approval.requested" => new(happened.Id, "asked", $"Asked: {Text(data, "title")}", null, $"/app/inbox/{Uri.EscapeDataString(Text(data, "approval") ?? "")}"),
            "approval.decided" => new(happened.Id, "decided", $"{Text(data, "title")}: {Text(data, "decision")}{(Text(data, "by") is { } by ? $" by {by}" : "")}"),
            _ => null,
        };
    }

    private static string Took(JsonElement data) =>
        Member(data, "milliseconds") is { ValueKind: JsonValueKind.Number } time ? string.Create(CultureInfo.InvariantCulture, $", {time.GetDouble():0} ms") : "";

    private static string? Call(JsonElement data)
    {
        var parts = new List<string>();
        if (Member(data, "arguments") is { } arguments)
            parts.Add(JsonSerializer.Serialize(arguments, Indented));
        if (Member(data, "result") is { } result)
            parts.Add(result.ValueKind == JsonValueKind.String ? result.GetString()! : JsonSerializer.Serialize(result, Indented));
        var text = string.Join("\n\n", parts);
        return text.Length == 0 ? null : Words.Excerpt(text);
    }

    private static IEnumerable<string> Names(JsonElement calls) => calls.ValueKind == JsonValueKind.Array
        ? calls.EnumerateArray().Select(c => Text(c, "name") ?? Text(c, "tool") ?? "a tool").Distinct()
        : [];

    private static JsonElement? Member(JsonElement data, string name) =>
        data.ValueKind == JsonValueKind.Object && data.TryGetProperty(name, out var value) && value.ValueKind != JsonValueKind.Null ? value : null;

    private static string? Text(JsonElement data, string name) => Member(data, name) is { ValueKind: JsonValueKind.String } text ? text.GetString() : null;
}
