using System.Runtime.InteropServices;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using Conclave.Server.Api;
using Conclave.Workflows.Definitions;
using Conclave.Workflows.Runtime.Definitions;

namespace Conclave.Server.ElsaApi.Definitions;

/// <summary>A workflow as a designer or a file brings it, ready to be saved.</summary>
/// <param name="Definition">The workflow, with the ids that it gets.</param>
/// <param name="IsNew">Whether it named no workflow.</param>
/// <param name="Edit">Who saves it, and what they began with.</param>
internal sealed record DefinitionModel(WorkflowDefinition Definition, bool IsNew, DefinitionEdit Edit)
{
    private const int RandomIdLength = 12;

    /// <summary>The editor; one that saves without a token begins here.</summary>
    public string Session => Edit.Session!;

    /// <summary>Reads a model. Ids, numbers, flags and dates of versions do not count.</summary>
    /// <param name="context">The request.</param>
    /// <param name="model">The model.</param>
    /// <param name="definitionId">The workflow that it must become; null for the one that it names.</param>
    /// <exception cref="WorkflowDefinitionException">It is no workflow.</exception>
    public static async Task<DefinitionModel> ReadAsync(HttpContext context, JsonElement model, string? definitionId = null)
    {
        if (model.ValueKind != JsonValueKind.Object)
            throw ApiException.Bad("The workflow must be a JSON object.");
        var read = WorkflowDefinitionReader.Read(JsonMarshal.GetRawUtf8Value(model));
        CodeRights.Demand(context, read);
        JsonText.CheckName("name", read.Name);
        definitionId = JsonText.CheckName("definitionId", definitionId ?? ElsaQuery.TextOf(model, "definitionId")?.Trim());
        var isNew = string.IsNullOrEmpty(definitionId);
        var token = EditToken.Read(read.CustomProperties);
        var definition = read with
        {
            Id = NewId(),
            DefinitionId = isNew ? IdOfNew(context, read) : definitionId!,
            CustomProperties = EditToken.Remove(read.CustomProperties),
            Root = MissingActivities.Restore(read.Root),
        };
        var isToken = token is { } given && given.DefinitionId == definition.DefinitionId;
        var edit = new DefinitionEdit
        {
            Actor = context.Actor(),
            ExpectedHash = isToken ? token!.Value.Hash : null,
            Session = isToken ? token!.Value.Session : EditToken.NewSession(),
        };
        if (isNew && await IsTakenAsync(context, definition))
            definition = definition with { DefinitionId = NewId() };
        return new DefinitionModel(await KeepUnseenAsync(context, definition), isNew, edit);
    }

    /// <summary>An id as Elsa makes them.</summary>
    public static string NewId() => RandomNumberGenerator.GetHexString(16, lowercase: true);

    /// <summary>
    /// Studio sends what it creates again when no answer came, and its root has a random id: the same becomes the same workflow. A root
    /// that anybody could have written is a new workflow each time.
    /// </summary>
    private static string IdOfNew(HttpContext context, WorkflowDefinition definition)
    {
        var root = ElsaQuery.TextOf(definition.Root, "id");
        return root is { Length: >= RandomIdLength } && root.All(char.IsAsciiHexDigit)
            ? DerivedId(context.Tenant(), context.Actor(), definition.Name ?? "", root)
            : NewId();
    }

    /// <summary>An id that follows from texts.</summary>
    public static string DerivedId(params ReadOnlySpan<string> texts) =>
        Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(string.Join('\n', texts!))))[..16];

    /// <summary>Whether the id of a new workflow is that of an older one, and not of its own first attempt.</summary>
    private static async Task<bool> IsTakenAsync(HttpContext context, WorkflowDefinition definition) =>
        await context.Runtime().Catalog.Store.FindLatestAsync(context.Tenant(), definition.DefinitionId, context.RequestAborted) is { } earlier
        && (earlier.Definition.Version > 1 || earlier.Definition.IsPublished || Content(earlier.Definition) != Content(definition));

    private static string Content(WorkflowDefinition definition) => Encoding.UTF8.GetString(WorkflowDefinitionWriter.Write(
        definition with { Id = "", Version = 1, CreatedAt = null, IsLatest = false, IsPublished = false }, indented: false));

    /// <summary>Designers send back what they know. Members of the newest version that they do not know stay.</summary>
    private static async Task<WorkflowDefinition> KeepUnseenAsync(HttpContext context, WorkflowDefinition definition)
    {
        if (await context.Runtime().Catalog.Store.FindLatestAsync(context.Tenant(), definition.DefinitionId, context.RequestAborted) is not { Definition: var latest })
            return definition;
        return definition with
        {
            IsSystem = definition.IsSystem || latest.IsSystem,
            Extra = [.. latest.Extra.Where(e => definition.Extra.All(d => d.Key != e.Key)), .. definition.Extra],
        };
    }
}
