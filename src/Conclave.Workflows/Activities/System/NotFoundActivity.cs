using System.Text.Json;
using Conclave.Workflows.Definitions;
using Conclave.Workflows.Execution;
using Conclave.Workflows.Expressions;

namespace Conclave.Workflows.Activities;

/// <summary>Stands for an activity whose type this engine does not know. Its JSON is kept; running it faults with its name.</summary>
[Activity("Elsa", "System", "Stands for an activity whose type is not installed.", IsBrowsable = false)]
public sealed class NotFoundActivity : Activity
{
    /// <summary>Type name.</summary>
    public const string TypeName = "Elsa.NotFoundActivity";

    private string _missing = "";

    /// <summary>
    /// The activity as it was before a host without its type saved it, when the type is known here; else the JSON itself.
    /// </summary>
    internal static JsonElement Restore(JsonElement json, WorkflowEngine engine)
    {
        if (JsonShapes.GetString(json, "type") != TypeName || JsonShapes.GetString(json, "originalActivityJson") is not { Length: > 0 } text)
            return json;
        try
        {
            var original = JsonElement.Parse(text, new JsonDocumentOptions { MaxDepth = engine.Options.Limits.MaxDepth });
            var type = JsonShapes.GetString(original, "type") ?? "";
            var isKnown = engine.Catalog.Find(type) is not null || engine.Library.FindForActivity(original, type, 1) is not null;
            return isKnown && JsonShapes.GetString(original, "id") == JsonShapes.GetString(json, "id") ? original : json;
        }
        catch (JsonException)
        {
            // What was saved is no activity; the placeholder says which type is missing.
            return json;
        }
    }

    internal override void Configure(ActivityConfiguration configuration)
    {
        _missing = configuration.TryGet("missingTypeName", out var name) ? ValueConverter.ToText(ValueConverter.FromJson(name)) ?? Node.Type : Node.Type;
        var message = _missing.Length == 0
            ? "The activity has no type."
            : $"The activity type '{_missing}' (version {Node.Version}) is not known here. Install the module that brings it, or replace the activity.";
        configuration.Problem("definition.unknown_activity_type", message, "type");
    }

    /// <inheritdoc/>
    public override ValueTask ExecuteAsync(ActivityContext context) => throw new WorkflowException(
        "activity.not_found", $"The activity type '{_missing}' of activity '{Node.Name ?? Node.Id}' is not known here, so it cannot run.");
}
