using System.Globalization;
using System.Text.Json;
using Conclave.Server.Accounts;
using Conclave.Server.ElsaApi.Definitions;
using Conclave.Server.Hosting;
using Conclave.Server.OpenApi;
using Conclave.Workflows.Definitions;
using Conclave.Workflows.Runtime.Definitions;

namespace Conclave.Server.Api;

/// <summary>Definitions: list, read, save, publish, history, import and export.</summary>
internal static class WorkflowEndpoints
{
    public static void Map(RouteGroupBuilder workflows)
    {
        var group = workflows.WithTags("Workflows");
        group.MapGet("/", ListAsync).RequirePermission(Permissions.ReadDefinitions)
            .Describe("ListWorkflows", "List workflows, the newest version of each", o => o.Query("search", "Part of the name or id.").Pages().Answers<PageShape<WorkflowShape>>());
        group.MapPost("/import", ImportAsync).RequirePermission(Permissions.WriteDefinitions)
            .Describe("ImportWorkflows", "Import one definition, an array, a zip or several files", o => o
                .Query("publish", "true, false, or file (the default): as each file says.").TakesFiles("application/json", "application/zip").Answers<ImportShape>()
                .Note("Needs `publish:workflow-definitions`, too, unless publish is false."));
        group.MapPost("/validate", ValidateAsync).RequirePermission(Permissions.ReadDefinitions)
            .Describe("ValidateWorkflow", "Check a definition and store nothing", o => o.Takes<DefinitionRequest>().Answers<ValidationShape>());
        group.MapGet("/export", ExportAsync).RequirePermission(Permissions.ReadDefinitions)
            .Describe("ExportWorkflows", "Download the newest versions as a zip", o => o.Query("ids", "Ids with commas; all without it.").AnswersFile("application/zip").Refuses(404));
        group.MapGet("/{definitionId}", GetAsync).RequirePermission(Permissions.ReadDefinitions)
            .Describe("GetWorkflow", "Get a definition; the ETag is the hash of its content", o => o.Query("version", "latest, published or a number.").Answers<DefinitionFileShape>());
        group.MapPut("/{definitionId}", SaveAsync).RequirePermission(Permissions.WriteDefinitions)
            .Describe("SaveWorkflow", "Save the draft, or publish it", o => o
                .Query<bool>("publish", "Needs `publish:workflow-definitions`, too.").Header("If-Match", "Refuses to overwrite what is not the version with this ETag; * overwrites whatever is there.")
                .Takes<DefinitionRequest>().Answers<SavedWorkflowShape>().Refuses(409, 412));
        group.MapDelete("/{definitionId}", DeleteAsync).RequirePermission(Permissions.DeleteDefinitions)
            .Describe("DeleteWorkflow", "Delete a workflow with all its versions", o => o.Query<bool>("force", "Deletes it even if it is used.").Answers(204).Refuses(409));
        group.MapGet("/{definitionId}/versions", HistoryAsync).RequirePermission(Permissions.ReadDefinitions)
            .Describe("ListWorkflowVersions", "List the versions of a workflow, newest first", o => o.Pages().Answers<PageShape<WorkflowVersionShape>>());
        group.MapDelete("/{definitionId}/versions/{version:int}", DeleteVersionAsync).RequirePermission(Permissions.DeleteDefinitions)
            .Describe("DeleteWorkflowVersion", "Delete an old version", o => o.Query<bool>("force", "Deletes it even if instances run it.").Answers(204).Refuses(409));
        group.MapPost("/{definitionId}/publish", (HttpContext context, string definitionId) =>
            MoveAsync(context, definitionId, context.Runtime().Catalog.PublishAsync(context.Tenant(), definitionId, context.RequestAborted), isPublished: true)).RequirePermission(Permissions.PublishDefinitions)
            .Describe("PublishWorkflow", "Publish the newest version", o => o.Answers<SavedWorkflowShape>());
        group.MapPost("/{definitionId}/retract", (HttpContext context, string definitionId) =>
            MoveAsync(context, definitionId, context.Runtime().Catalog.RetractAsync(context.Tenant(), definitionId, context.RequestAborted))).RequirePermission(Permissions.RetractDefinitions)
            .Describe("RetractWorkflow", "Take the published version out of use", o => o.Answers<SavedWorkflowShape>());
        group.MapPost("/{definitionId}/revert", (HttpContext context, string definitionId, int version) =>
            MoveAsync(context, definitionId, context.Runtime().Catalog.RevertAsync(context.Tenant(), definitionId, version, context.RequestAborted, context.Actor()))).RequirePermission(Permissions.PublishDefinitions)
            .Describe("RevertWorkflow", "Copy an old version into a new draft", o => o.Required("version", "Number of the old version.").Answers<SavedWorkflowShape>());
        group.MapGet("/{definitionId}/consumers", ConsumersAsync).RequirePermission(Permissions.ReadDefinitions)
            .Describe("ListWorkflowConsumers", "List the workflows that use a workflow", o => o.Answers<PageShape<ConsumerShape>>());
        group.MapPost("/{definitionId}/update-references", UpdateReferencesAsync).RequirePermission(Permissions.PublishDefinitions)
            .Describe("UpdateWorkflowReferences", "Move the workflows that use it to its published version", o => o.Answers<PageShape<UpdatedConsumerShape>>());
        StartEndpoints.Map(group);
    }

    private static async Task ListAsync(HttpContext context)
    {
        var limit = context.Limit();
        var workflows = await context.Runtime().Catalog.Store.ListAsync(
            context.Tenant(), context.Query("search"), context.Query("cursor"), limit, context.RequestAborted);
        await context.WritePageAsync(workflows, workflows.Count == limit ? workflows[^1].DefinitionId : null, (writer, workflow) =>
        {
            writer.WriteStartObject();
            writer.WriteString("definitionId", workflow.DefinitionId);
            writer.WriteString("id", workflow.Id);
            writer.WriteString("name", workflow.Name);
            writer.WriteString("description", workflow.Description);
            writer.WriteNumber("version", workflow.Version);
            writer.WriteBoolean("isPublished", workflow.IsPublished);
            WriteNumber(writer, "publishedVersion", workflow.PublishedVersion);
            writer.WriteString("updatedAt", workflow.UpdatedAt);
            writer.WriteEndObject();
        });
    }

    private static async Task GetAsync(HttpContext context, string definitionId)
    {
        var found = await FindAsync(context, definitionId) ?? throw ApiException.NoWorkflow(definitionId);
        context.Response.Headers.ETag = $"\"{found.Hash}\"";
        context.Response.ContentType = "application/json; charset=utf-8";
        await context.Response.Body.WriteAsync(WorkflowDefinitionWriter.Write(found.Definition), context.RequestAborted);
    }

    private static Task<StoredDefinition?> FindAsync(HttpContext context, string definitionId)
    {
        var store = context.Runtime().Catalog.Store;
        return context.Query("version")?.ToLowerInvariant() switch
        {
            null or "latest" => store.FindLatestAsync(context.Tenant(), definitionId, context.RequestAborted),
            "published" => store.FindPublishedAsync(context.Tenant(), definitionId, context.RequestAborted),
            var text when int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var version) =>
                store.FindAsync(context.Tenant(), definitionId, version, context.RequestAborted),
            var text => throw ApiException.Bad($"'version' must be latest, published or a number; it is '{text}'."),
        };
    }

    private static async Task SaveAsync(HttpContext context, string definitionId)
    {
        var given = WorkflowDefinitionReader.Read(await context.ReadBodyAsync());
        CodeRights.Demand(context, given);
        var publish = context.Query("publish") is { } text && (bool.TryParse(text, out var isTrue)
            ? isTrue
            : throw ApiException.Bad($"'publish' must be true or false; it is '{text}'."));
        if (publish)
            context.Demand(Permissions.PublishDefinitions);
        var expected = context.Request.Headers.IfMatch.ToString().Trim().Trim('"') is { Length: > 0 } tag ? tag : null;
        var runtime = context.Runtime();
        var definition = given with { DefinitionId = definitionId };
        var graph = await runtime.Catalog.Of(context.Tenant()).CompileAsync(definition, context.RequestAborted);
        var edit = new DefinitionEdit { Actor = context.Actor(), ExpectedHash = expected };
        var saved = await runtime.Catalog.SaveEditAsync(context.Tenant(), definition, publish, edit, context.RequestAborted);
        await WriteAsync(context, saved, publish ? [.. graph.Problems, .. await FollowAsync(context, saved)] : graph.Problems);
    }

    /// <summary>Says what is wrong with a definition, and stores nothing.</summary>
    private static async Task ValidateAsync(HttpContext context)
    {
        IReadOnlyList<DefinitionProblem> problems;
        try
        {
            var definition = WorkflowDefinitionReader.Read(await context.ReadBodyAsync());
            problems = (await context.Runtime().Catalog.Of(context.Tenant()).CompileAsync(definition, context.RequestAborted)).Problems;
        }
        catch (WorkflowDefinitionException exception)
        {
            problems = exception.Problems;
        }

        await context.WriteJsonAsync(writer =>
        {
            writer.WriteStartObject();
            writer.WritePropertyName("errors");
            Problems.WriteErrors(writer, problems);
            writer.WriteEndObject();
        });
    }

    private static async Task MoveAsync(HttpContext context, string definitionId, Task<StoredDefinition?> move, bool isPublished = false)
    {
        var stored = await move ?? throw ApiException.NoWorkflow(definitionId);
        await WriteAsync(context, stored, isPublished ? await FollowAsync(context, stored) : []);
    }

    private static async Task<List<DefinitionProblem>> FollowAsync(HttpContext context, StoredDefinition published) =>
        (await DefinitionReferences.FollowAsync(context.Runtime().Catalog, context.Tenant(), published, context.RequestAborted)).Problems;

    private static Task WriteAsync(HttpContext context, StoredDefinition stored, IReadOnlyList<DefinitionProblem> problems)
    {
        context.Response.Headers.ETag = $"\"{stored.Hash}\"";
        return context.WriteJsonAsync(writer =>
        {
            writer.WriteStartObject();
            writer.WriteString("definitionId", stored.Definition.DefinitionId);
            writer.WriteString("id", stored.Definition.Id);
            writer.WriteNumber("version", stored.Definition.Version);
            writer.WriteBoolean("isLatest", stored.Definition.IsLatest);
            writer.WriteBoolean("isPublished", stored.Definition.IsPublished);
            writer.WriteString("hash", stored.Hash);
            writer.WritePropertyName("errors");
            Problems.WriteErrors(writer, problems);
            writer.WriteEndObject();
        });
    }

    private static async Task DeleteAsync(HttpContext context, string definitionId)
    {
        if (!await DefinitionUse.DeleteAsync(context, definitionId))
            throw ApiException.NoWorkflow(definitionId);
        context.Response.StatusCode = 204;
    }

    private static async Task DeleteVersionAsync(HttpContext context, string definitionId, int version)
    {
        if (!await DefinitionUse.DeleteVersionAsync(context, definitionId, version))
            throw ApiException.NoWorkflow(definitionId);
        context.Response.StatusCode = 204;
    }

    private static async Task HistoryAsync(HttpContext context, string definitionId)
    {
        var limit = context.Limit();
        var before = context.Query("cursor") is { } cursor
            ? int.TryParse(cursor, NumberStyles.None, CultureInfo.InvariantCulture, out var number) ? number : throw ApiException.Bad("'cursor' must be what 'next' said.")
            : int.MaxValue;
        var versions = await context.Runtime().Catalog.Store.HistoryAsync(context.Tenant(), definitionId, limit, context.RequestAborted, before);
        if (versions.Count == 0 && before == int.MaxValue)
            throw ApiException.NoWorkflow(definitionId);
        await context.WritePageAsync(versions, versions.Count == limit ? versions[^1].Version.ToString(CultureInfo.InvariantCulture) : null, (writer, version) =>
        {
            writer.WriteStartObject();
            writer.WriteString("id", version.Id);
            writer.WriteString("definitionId", version.DefinitionId);
            writer.WriteNumber("version", version.Version);
            writer.WriteString("name", version.Name);
            writer.WriteString("description", version.Description);
            writer.WriteBoolean("isLatest", version.IsLatest);
            writer.WriteBoolean("isPublished", version.IsPublished);
            writer.WriteString("createdAt", version.CreatedAt);
            writer.WriteEndObject();
        });
    }

    private static async Task ConsumersAsync(HttpContext context, string definitionId) => await context.WritePageAsync(
        await context.Runtime().Catalog.Store.FindConsumersAsync(context.Tenant(), definitionId, context.RequestAborted),
        null,
        (writer, consumer) =>
        {
            writer.WriteStartObject();
            writer.WriteString("definitionId", consumer.DefinitionId);
            writer.WriteString("id", consumer.Id);
            writer.WriteNumber("version", consumer.Version);
            writer.WriteString("name", consumer.Name);
            writer.WriteBoolean("isPublished", consumer.IsPublished);
            writer.WriteEndObject();
        });

    private static async Task UpdateReferencesAsync(HttpContext context, string definitionId)
    {
        var updated = await DefinitionReferences.UpdateAsync(context.Runtime().Catalog, context.Tenant(), definitionId, context.RequestAborted);
        await context.WritePageAsync(updated, null, (writer, stored) =>
        {
            writer.WriteStartObject();
            writer.WriteString("definitionId", stored.Definition.DefinitionId);
            writer.WriteString("id", stored.Definition.Id);
            writer.WriteNumber("version", stored.Definition.Version);
            writer.WriteBoolean("isPublished", stored.Definition.IsPublished);
            writer.WriteEndObject();
        });
    }

    private static async Task ImportAsync(HttpContext context)
    {
        var choice = context.Query("publish")?.ToLowerInvariant() switch
        {
            null or "file" => PublishChoice.AsFile,
            "true" => PublishChoice.Always,
            "false" => PublishChoice.Never,
            var text => throw ApiException.Bad($"'publish' must be file, true or false; it is '{text}'."),
        };
        if (choice != PublishChoice.Never)
            context.Demand(Permissions.PublishDefinitions);
        var package = await ReadPackageAsync(context);
        var import = context.RequestServices.GetRequiredService<ServerRuntime>().Import;
        var results = await import.ImportAsync(context.Tenant(), package, choice, context.RequestAborted);
        var isNothing = results.All(r => r.Outcome == ImportOutcome.Refused);
        await context.WriteJsonAsync(writer => WriteImported(writer, results, isNothing), isNothing ? 400 : 200, isNothing ? "application/problem+json" : null);
    }

    /// <summary>Reads uploaded definitions: one, a list, a zip, or several files in a form.</summary>
    /// <exception cref="ApiException">The caller may not bring them in.</exception>
    internal static async Task<IReadOnlyList<PackagedDefinition>> ReadPackageAsync(HttpContext context)
    {
        var package = await ReadUploadAsync(context);
        CodeRights.Demand(context, package);
        return package;
    }

    private static async Task<IReadOnlyList<PackagedDefinition>> ReadUploadAsync(HttpContext context)
    {
        if (!context.Request.HasFormContentType)
            return await DefinitionPackage.ReadAsync("body", new MemoryStream(await context.ReadBodyAsync()), PackageLimits.Default, context.RequestAborted);
        IFormCollection form;
        try
        {
            form = await context.Request.ReadFormAsync(context.RequestAborted);
        }
        catch (Exception exception) when (exception is InvalidDataException or (IOException and not BadHttpRequestException))
        {
            throw new ApiException(400, "request.malformed", $"The form cannot be read: {exception.Message}");
        }

        var package = new List<PackagedDefinition>();
        foreach (var file in form.Files)
        {
            await using var content = file.OpenReadStream();
            package.AddRange(await DefinitionPackage.ReadAsync(file.FileName, content, PackageLimits.Default, context.RequestAborted));
        }

        return package.Count > 0 ? package : throw ApiException.Bad("The form holds no file. Send each definition or zip as a file.");
    }

    private static void WriteImported(Utf8JsonWriter writer, IReadOnlyList<ImportedDefinition> results, bool isNothing)
    {
        writer.WriteStartObject();
        if (isNothing)
        {
            writer.WriteString("type", "about:blank");
            writer.WriteString("title", "Bad Request");
            writer.WriteNumber("status", 400);
            writer.WriteString("code", "import.nothing");
            writer.WriteString("detail", "Nothing was imported; each file says why.");
        }

        writer.WriteStartArray("items");
        foreach (var result in results)
        {
            writer.WriteStartObject();
            writer.WriteString("file", result.File);
            writer.WriteString("definitionId", result.DefinitionId);
            WriteNumber(writer, "version", result.Version);
            writer.WriteString("outcome", JsonNamingPolicy.CamelCase.ConvertName(result.Outcome.ToString()));
            writer.WritePropertyName("errors");
            Problems.WriteErrors(writer, result.Problems);
            writer.WriteEndObject();
        }

        writer.WriteEndArray();
        writer.WriteEndObject();
    }

    private static async Task ExportAsync(HttpContext context)
    {
        var store = context.Runtime().Catalog.Store;
        var ids = context.Query("ids")?.Split(',', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries);
        foreach (var id in ids ?? [])
        {
            if (await store.FindLatestAsync(context.Tenant(), id, context.RequestAborted) is null)
                throw ApiException.NoWorkflow(id);
        }

        context.Response.ContentType = "application/zip";
        context.Response.Headers.ContentDisposition = "attachment; filename=\"workflows.zip\"";
        await DefinitionPackage.WriteZipAsync(store.ReadLatestAsync(context.Tenant(), ids, context.RequestAborted), context.Response.Body, context.RequestAborted);
    }

    private static void WriteNumber(Utf8JsonWriter writer, string name, int? value)
    {
        if (value is { } number)
            writer.WriteNumber(name, number);
        else
            writer.WriteNull(name);
    }
}
