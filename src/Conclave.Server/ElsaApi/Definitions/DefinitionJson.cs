using System.Security.Claims;
using System.Text.Json;
using Conclave.Server.Api;
using Conclave.Workflows.Definitions;
using Conclave.Workflows.Runtime.Definitions;

namespace Conclave.Server.ElsaApi.Definitions;

/// <summary>Workflows as Elsa's API writes them.</summary>
internal static class DefinitionJson
{
    /// <summary>A stored version as designers need it: with placeholders for unknown activities and a token for its next save.</summary>
    /// <param name="context">The request.</param>
    /// <param name="stored">The version.</param>
    /// <param name="session">The editor that goes on; null for one that opens.</param>
    public static async ValueTask<ShownDefinition> ShowAsync(HttpContext context, StoredDefinition stored, string? session = null)
    {
        var (definition, workflows) = (stored.Definition, context.Runtime().Catalog.Of(context.Tenant()));
        var rootNodeId = await FindRootNodeIdAsync(workflows, definition, context.RequestAborted);
        return new ShownDefinition(
            definition with
            {
                CreatedAt = definition.CreatedAt ?? stored.UpdatedAt,
                CustomProperties = EditToken.Of(stored, session).AddTo(definition.CustomProperties),
                Root = MissingActivities.Hide(definition.Root, workflows.Engine),
            },
            rootNodeId);
    }

    /// <summary>Node ids are those of journals and states, which begin with what the compiled graph calls its root.</summary>
    private static async ValueTask<string> FindRootNodeIdAsync(TenantWorkflows workflows, WorkflowDefinition definition, CancellationToken cancellationToken)
    {
        try
        {
            return (await workflows.CompileAsync(definition, cancellationToken)).Root.NodeId;
        }
        catch (WorkflowDefinitionException)
        {
            // It cannot run, so that nothing else names its activities.
            return "Workflow1";
        }
    }

    /// <summary>Writes a whole version.</summary>
    public static void Write(Utf8JsonWriter writer, ClaimsPrincipal user, ShownDefinition shown)
    {
        var definition = shown.Definition;
        writer.WriteStartObject();
        WorkflowDefinitionWriter.WriteMembers(writer, definition, shown.RootNodeId);
        DefinitionLinks.WriteTo(writer, user, definition.DefinitionId, definition.Id, definition.IsReadonly);
        writer.WriteEndObject();
    }

    /// <summary>Answers with a whole version.</summary>
    public static async Task AnswerAsync(HttpContext context, StoredDefinition stored, string? session = null, int status = 200)
    {
        var shown = await ShowAsync(context, stored, session);
        await context.WriteJsonAsync(writer => Write(writer, context.User, shown), status);
    }

    /// <summary>Writes what lists show of a version.</summary>
    /// <param name="writer">Where to.</param>
    /// <param name="user">Who gets the links; null for no links.</param>
    /// <param name="summary">The version.</param>
    public static void WriteSummary(Utf8JsonWriter writer, ClaimsPrincipal? user, DefinitionSummary summary)
    {
        writer.WriteStartObject();
        writer.WriteString("id", summary.Id);
        writer.WriteString("definitionId", summary.DefinitionId);
        WriteIfSet(writer, "name", summary.Name);
        WriteIfSet(writer, "description", summary.Description);
        writer.WriteNumber("version", summary.Version);
        WriteIfSet(writer, "toolVersion", summary.ToolVersion);
        writer.WriteBoolean("isLatest", summary.IsLatest);
        writer.WriteBoolean("isPublished", summary.IsPublished);
        writer.WriteString("materializerName", "Json");
        writer.WriteString("createdAt", summary.CreatedAt);
        writer.WriteBoolean("isReadonly", summary.IsReadonly);
        writer.WriteBoolean("isMaterializerAvailable", true);
        if (user is not null)
            DefinitionLinks.WriteTo(writer, user, summary.DefinitionId, summary.Id, summary.IsReadonly);
        writer.WriteEndObject();
    }

    /// <summary>Writes a list of texts.</summary>
    public static void WriteTexts(Utf8JsonWriter writer, string name, IEnumerable<string> texts)
    {
        writer.WriteStartArray(name);
        foreach (var text in texts)
            writer.WriteStringValue(text);
        writer.WriteEndArray();
    }

    private static void WriteIfSet(Utf8JsonWriter writer, string name, string? value)
    {
        if (value is not null)
            writer.WriteString(name, value);
    }
}

/// <summary>A version as designers need it.</summary>
/// <param name="Definition">The definition, with placeholders and a token.</param>
/// <param name="RootNodeId">Node id of the workflow itself.</param>
internal sealed record ShownDefinition(WorkflowDefinition Definition, string RootNodeId);
