using System.Text.Json;
using System.Text.Json.Nodes;
using Conclave.Agents;
using Conclave.Agents.Tools;
using Conclave.Server.Web.Forms;

namespace Conclave.Server.Web.Agents;

/// <summary>A part of <see cref="AgentForm"/>.</summary>
/// <param name="Key">Tells it from the others.</param>
/// <param name="Title">Its heading.</param>
/// <param name="Member">The member of the configuration whose members its fields are; empty for the configuration itself.</param>
/// <param name="Form">Its fields.</param>
internal sealed record AgentFormPart(string Key, string Title, string Member, FormModel Form);

/// <summary>Whether an agent has a tool, and may use it.</summary>
/// <param name="name">Name of the tool.</param>
/// <param name="tool">The tool; null when there is none of that name.</param>
/// <param name="isChosen">Whether the agent has it.</param>
/// <param name="mode">Whether it may use it; null for the tool's own default.</param>
internal sealed class ToolChoice(string name, RegisteredTool? tool, bool isChosen, ToolMode? mode)
{
    private readonly (bool IsChosen, ToolMode? Mode) _initial = (isChosen, mode);

    public string Name { get; } = name;

    public RegisteredTool? Tool { get; } = tool;

    public bool IsChosen { get; set; } = isChosen;

    public ToolMode? Mode { get; set; } = mode;

    public bool IsChanged => (IsChosen, Mode) != _initial;
}

/// <summary>A configuration as people fill it in.</summary>
internal sealed class AgentForm
{
    private const string All = "*";

    // Labels and hints are what people read; kinds, limits and defaults are those of AgentConfiguration, which checks.
    private const string Schema = """
        { "who": { "title": "Who it is", "properties": {
            "description": { "type": "string", "title": "What it is for", "maxLength": 2000, "description": "For people, and for other agents that hand work to it." },
            "systemPrompt": { "type": "string", "title": "System prompt", "maxLength": 100000, "description": "Who it is and what it has to keep to." },
            "personality": { "type": "string", "title": "Personality", "maxLength": 100000, "description": "How it speaks and what it pays attention to." },
            "mood": { "type": "string", "title": "Mood", "description": "How it feels at present. Of agents from a package that has moods it changes by itself." } } },
          "how": { "title": "How it thinks", "properties": {
            "model": { "type": "string", "title": "Model", "description": "A model, server/model, or an alias: smart, fast, code." },
            "temperature": { "type": "number", "title": "Temperature", "description": "How free its answers are, 0 to 2. Empty: the model's own." },
            "contextSize": { "type": "integer", "title": "Context size", "description": "Most tokens of a prompt; the oldest messages are left out beyond." },
            "behaviour": { "type": "string", "title": "Behaviour", "description": "The workflow that runs its turns." },
            "behaviourVersion": { "type": "integer", "title": "Version of the behaviour", "description": "It stays on this version. Empty: it follows the published one." } } },
          "limits": { "title": "What ends a turn", "member": "limits", "properties": {
            "maxSteps": { "type": "integer", "title": "Model calls" },
            "maxTurnSeconds": { "type": "integer", "title": "Seconds", "description": "Without the time in which people are asked." },
            "maxTurnCost": { "type": "number", "title": "Cost", "description": "In the currency of the models' prices, with everything that the turn begins. Empty: no limit." },
            "maxRepeats": { "type": "integer", "title": "Repeats", "description": "How often the same tool calls may give the same results." },
            "maxConcurrentTurns": { "type": "integer", "title": "Turns at once" } } },
          "budget": { "title": "What it may spend", "member": "budget", "properties": {
            "money": { "type": "number", "title": "Money", "description": "In the currency of the models' prices. Empty: no limit." },
            "tokens": { "type": "integer", "title": "Tokens", "description": "Empty: no limit." },
            "period": { "enum": ["day", "month", "run"], "title": "In each", "description": "Of UTC; run is for ever." } } },
          "health": { "title": "When it is taken out of use", "member": "health", "properties": {
            "maxConsecutiveFailures": { "type": "integer", "title": "After so many failed turns in a row" },
            "recoverAfterSeconds": { "type": "integer", "title": "Tries again after so many seconds" } } },
          "more": { "title": "Rules and channels", "properties": {
            "rules": { "type": "object", "title": "Rules on arguments of tools", "description": "By the tool's name; the first whose JSON Schema fits the arguments decides: {\"issue-refund\": [{\"name\": \"small\", \"when\": {\"properties\": {\"amount\": {\"maximum\": 50}}}, \"mode\": \"allow\"}]}" },
            "channels": { "type": "array", "items": { "type": "string" }, "title": "Channels", "description": "One in each line. They are part of what the agent is; nothing is sent there by itself." } } } }
        """;

    private readonly AgentOffers _offers;

    private AgentForm(IReadOnlyList<AgentFormPart> parts, IReadOnlyList<ToolChoice> tools, AgentOffers offers) => (Parts, Tools, _offers) = (parts, tools, offers);

    /// <summary>Everything but the tools.</summary>
    public IReadOnlyList<AgentFormPart> Parts { get; }

    /// <summary>The tools that there are, and those that it has already; all others as <c>*</c> at the end.</summary>
    public IReadOnlyList<ToolChoice> Tools { get; }

    /// <summary>Whether something was filled in.</summary>
    public bool IsChanged => Parts.SelectMany(p => p.Form.Fields).Any(f => f.IsChanged) || Tools.Any(t => t.IsChanged);

    /// <summary>Labels of the fields with which something is wrong.</summary>
    public IEnumerable<string> Refused => Parts.SelectMany(p => p.Form.Fields).Where(f => f.Problem is not null).Select(f => f.Label);

    /// <summary>A form with a configuration filled in.</summary>
    public static AgentForm Of(AgentConfiguration configuration, AgentOffers offers)
    {
        var values = AgentConfigurations.Write(configuration);
        var schema = JsonNode.Parse(Schema)!.AsObject();
        Suggest("model", offers.Models);
        Suggest("behaviour", offers.Behaviours);
        var parts = schema.Select(part => Part(part.Key, part.Value!.AsObject(), values)).ToList();
        var names = offers.Tools.Select(t => t.Name).Concat(configuration.Tools).Concat(configuration.Permissions.Keys).Distinct(StringComparer.Ordinal).Where(n => n != All);
        var tools = names.Order(StringComparer.Ordinal).Select(name => new ToolChoice(
            name, offers.Tools.FirstOrDefault(t => t.Name == name), configuration.Tools.Contains(name), Mode(name)));
        return new AgentForm(parts, [.. tools.OrderByDescending(t => t.IsChosen), new ToolChoice(All, null, true, Mode(All))], offers);

        ToolMode? Mode(string name) => configuration.Permissions.TryGetValue(name, out var mode) ? mode : null;

        void Suggest(string field, IReadOnlyList<string> values) => schema["how"]!["properties"]![field]!["examples"] = new JsonArray([.. values.Select(v => (JsonNode)v)]);
    }

    /// <summary>The same changes on top of another configuration.</summary>
    public AgentForm Over(AgentConfiguration configuration)
    {
        var form = Of(configuration, _offers);
        foreach (var (mine, theirs) in Fields().Join(form.Fields(), f => f.Path, f => f.Path, (mine, theirs) => (mine.Field, theirs.Field)).Where(p => p.Item1.IsChanged))
            theirs.Value = mine.Value;
        foreach (var (mine, theirs) in Tools.Join(form.Tools, t => t.Name, t => t.Name, (mine, theirs) => (mine, theirs)).Where(p => p.mine.IsChanged))
            (theirs.IsChosen, theirs.Mode) = (mine.IsChosen, mine.Mode);
        return form;
    }

    /// <summary>A configuration with what is filled in.</summary>
    /// <param name="basis">Has the members that the form does not show, and the order of the tools.</param>
    /// <returns>Null when something cannot be read, which the fields then say.</returns>
    public AgentConfiguration? Read(AgentConfiguration basis)
    {
        var changes = new JsonObject();
        var isGood = true;
        foreach (var part in Parts)
        {
            if (part.Form.Read() is not { } read)
            {
                isGood = false;
                continue;
            }

            var into = changes;
            if (part.Member.Length > 0)
                changes[part.Member] = into = [];
            foreach (var field in part.Form.Fields)
                into[field.Name] = read.TryGetProperty(field.Name, out var value) ? JsonNode.Parse(value.GetRawText()) : null;
        }

        if (!isGood)
            return null;
        // No limit is no budget; one without a period has the usual one.
        if (changes["budget"] is JsonObject budget)
        {
            if (budget["money"] is null && budget["tokens"] is null)
                changes["budget"] = null;
            else if (budget["period"] is null)
                budget.Remove("period");
        }

        var chosen = Tools.Where(t => t.IsChosen && t.Name != All).Select(t => t.Name).ToList();
        changes["tools"] = Texts(basis.Tools.Intersect(chosen, StringComparer.Ordinal).Concat(chosen.Except(basis.Tools, StringComparer.Ordinal)));
        changes["permissions"] = new JsonObject(Tools.Where(t => t.Mode is not null).Select(t => KeyValuePair.Create(t.Name, (JsonNode?)t.Mode!.Value.ToString().ToLowerInvariant())));
        try
        {
            return AgentConfigurations.Merge(basis, JsonElement.Parse(changes.ToJsonString()));
        }
        catch (JsonException exception)
        {
            // A rule that is none, or a number that is too large.
            var at = exception.Path?.TrimStart('$', '.') ?? "";
            Refuse(Fields().Select(f => f.Path).FirstOrDefault(path => at == path || at.StartsWith($"{path}.", StringComparison.Ordinal) || at.StartsWith($"{path}[", StringComparison.Ordinal)) ?? "rules", $"This cannot be read: {exception.Message}");
            return null;
        }
    }

    /// <summary>Says at a field what is wrong with it.</summary>
    /// <param name="path">Path of the member, as <see cref="AgentConfigurationCheck"/> has it.</param>
    /// <param name="problem">What is wrong.</param>
    /// <returns>False when there is no such field.</returns>
    public bool Refuse(string path, string problem)
    {
        // What is wrong with a part as a whole is said at its first field.
        if (Fields().FirstOrDefault(f => f.Path == path || f.Path.StartsWith($"{path}.", StringComparison.Ordinal)).Field is not { } field)
            return false;
        field.Problem = problem;
        return true;
    }

    private IEnumerable<(string Path, FormField Field)> Fields() =>
        Parts.SelectMany(part => part.Form.Fields.Select(field => (part.Member.Length > 0 ? $"{part.Member}.{field.Name}" : field.Name, field)));

    private static AgentFormPart Part(string key, JsonObject schema, JsonElement configuration)
    {
        var member = schema["member"]?.GetValue<string>() ?? "";
        var own = member.Length == 0 ? configuration : configuration.TryGetProperty(member, out var inner) ? inner : default;
        var values = new JsonObject();
        foreach (var (name, _) in schema["properties"]!.AsObject())
        {
            if (own.ValueKind == JsonValueKind.Object && own.TryGetProperty(name, out var value))
                values[name] = JsonNode.Parse(value.GetRawText());
        }

        return new AgentFormPart(key, schema["title"]!.GetValue<string>(), member, FormModel.Of(JsonElement.Parse(schema.ToJsonString()), JsonElement.Parse(values.ToJsonString())));
    }

    private static JsonArray Texts(IEnumerable<string> texts) => new([.. texts.Select(t => (JsonNode)t)]);
}

/// <summary>What an agent can be put together from.</summary>
/// <param name="Models">Names of models and aliases.</param>
/// <param name="Behaviours">Definition ids of published workflows that answer as a turn.</param>
/// <param name="Tools">Tools of the tenant.</param>
internal sealed record AgentOffers(IReadOnlyList<string> Models, IReadOnlyList<string> Behaviours, IReadOnlyList<RegisteredTool> Tools);
