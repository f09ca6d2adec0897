using System.Globalization;
using System.Text;
using Conclave.Server.Accounts;
using Conclave.Server.Api;
using Conclave.Server.Hosting;
using Conclave.Server.OpenApi;
using Conclave.Workflows.Definitions;
using Conclave.Workflows.Runtime.Definitions;

namespace Conclave.Server.ElsaApi.Definitions;

/// <summary>Workflows as files: import and export. What is imported is a draft, whatever the file says.</summary>
internal static class DefinitionFiles
{
    private const int LongestSlug = 80;

    public static void Map(RouteGroupBuilder group, RouteGroupBuilder api)
    {
        foreach (var path in (string[])["/import", "/{definitionId}/import"])
        {
            var name = path == "/import" ? "ElsaImportDefinition" : "ElsaImportDefinitionInto";
            group.MapMethods(path, ["POST", "PUT"], ImportAsync).RequirePermission(DefinitionLinks.Write).Describe(name, "Import a workflow as a draft", o => o
                .Takes<DefinitionRequest>().Answers<DefinitionShape>().Answers<DefinitionShape>(201, "The file named no workflow."));
        }

        group.MapPost("/import-files", ImportFilesAsync).RequirePermission(DefinitionLinks.Write)
            .Describe("ElsaImportDefinitionFiles", "Import files and zips as drafts", o => o.TakesFiles().Answers<ImportedFilesShape>());
        group.MapMethods("/{definitionId}/export", ["GET", "POST"], ExportAsync).RequirePermission(DefinitionLinks.Read)
            .Describe("ElsaExportDefinition", "Download a workflow", o => o
                .Query("versionOptions", DefinitionLinks.VersionsHelp).Query<bool>("includeConsumingWorkflows", "A zip with all that use it.")
                .Answers<DefinitionFileShape>(200, "The workflow, or a zip with it."));
        api.MapPost("/bulk-actions/export/workflow-definitions", ExportManyAsync).RequirePermission(DefinitionLinks.Read)
            .Describe("ElsaExportDefinitions", "Download versions as a zip", o => o.Takes<ExportRequest>().AnswersFile("application/zip").Answers(204, "There is none of them."));
    }

    private static async Task ImportAsync(HttpContext context)
    {
        var catalog = context.Runtime().Catalog;
        var model = await DefinitionModel.ReadAsync(context, await context.ReadObjectAsync(), context.Request.RouteValues["definitionId"] as string);
        // Compiled only for what makes it unreadable in a designer, such as an id that two activities have.
        await catalog.Of(context.Tenant()).CompileAsync(model.Definition, context.RequestAborted);
        // Whoever imports a file over a workflow wants the file: an edit token that it brings says nothing.
        var edit = model.Edit with { ExpectedHash = null };
        var saved = await catalog.SaveEditAsync(context.Tenant(), model.Definition, publish: false, edit, context.RequestAborted);
        await DefinitionJson.AnswerAsync(context, saved, status: model.IsNew ? StatusCodes.Status201Created : StatusCodes.Status200OK);
    }

    private static async Task ImportFilesAsync(HttpContext context)
    {
        if (!context.Request.HasFormContentType)
            throw ApiException.Bad("Send the files as a form (multipart/form-data) with the field 'files'.");
        var package = await WorkflowEndpoints.ReadPackageAsync(context);
        var results = await context.RequestServices.GetRequiredService<ServerRuntime>().Import.ImportAsync(
            context.Tenant(), package, PublishChoice.Never, context.RequestAborted);
        var refused = results.Where(r => r.Outcome == ImportOutcome.Refused)
            .SelectMany(r => DefinitionChanges.TextsOf(r.Problems).Select(text => $"{r.File}: {text}")).ToArray();
        var count = results.Count(r => r.Outcome != ImportOutcome.Refused);
        if (count == 0)
        {
            await ElsaProblems.WriteAsync(context, refused);
            return;
        }

        await context.WriteJsonAsync(writer =>
        {
            writer.WriteStartObject();
            writer.WriteNumber("count", count);
            DefinitionJson.WriteTexts(writer, "refused", refused);
            writer.WriteEndObject();
        });
    }

    private static async Task ExportAsync(HttpContext context, string definitionId)
    {
        var found = await context.Runtime().Catalog.Store.FindAsync(context.Tenant(), definitionId, context.Versions() ?? VersionOptions.Latest, context.RequestAborted)
            ?? throw ApiException.NoWorkflow(definitionId);
        if (context.Flag("includeConsumingWorkflows") == true)
        {
            await WriteZipAsync(context, await WithConsumersAsync(context, [found.Definition]));
            return;
        }

        var content = WorkflowDefinitionWriter.Write(found.Definition);
        context.Response.ContentType = "application/json; charset=utf-8";
        context.Response.Headers.ContentDisposition = $"attachment; filename=\"{FileName(found.Definition)}\"";
        context.Response.ContentLength = content.Length;
        await context.Response.Body.WriteAsync(content, context.RequestAborted);
    }

    private static async Task ExportManyAsync(HttpContext context)
    {
        var body = await context.ReadObjectAsync();
        var ids = ElsaQuery.TextsOf(body, "ids") ?? throw ApiException.Bad("'ids' must be a list of the versions' ids.");
        var definitions = new List<WorkflowDefinition>();
        await foreach (var stored in context.Runtime().Catalog.Store.ReadAsync(context.Tenant(), new DefinitionFilter { Ids = ids }, context.RequestAborted))
            definitions.Add(stored.Definition);
        if (definitions.Count == 0)
        {
            context.Response.StatusCode = StatusCodes.Status204NoContent;
            return;
        }

        await WriteZipAsync(context, ElsaQuery.FlagOf(body, "includeConsumingWorkflows") == true ? await WithConsumersAsync(context, definitions) : definitions);
    }

    /// <summary>Definitions with the newest versions of all that use them, directly or not.</summary>
    private static async Task<List<WorkflowDefinition>> WithConsumersAsync(HttpContext context, List<WorkflowDefinition> definitions)
    {
        var store = context.Runtime().Catalog.Store;
        var known = definitions.Select(d => d.DefinitionId).ToHashSet(StringComparer.Ordinal);
        var waiting = new Queue<string>(known);
        var consumers = new List<string>();
        while (waiting.TryDequeue(out var id))
        {
            foreach (var consumer in await store.FindConsumersAsync(context.Tenant(), id, context.RequestAborted))
            {
                if (!known.Add(consumer.DefinitionId))
                    continue;
                consumers.Add(consumer.DefinitionId);
                waiting.Enqueue(consumer.DefinitionId);
            }
        }

        var all = new List<WorkflowDefinition>(definitions);
        await foreach (var stored in store.ReadAsync(context.Tenant(), new DefinitionFilter { DefinitionIds = consumers, Versions = VersionOptions.Latest }, context.RequestAborted))
            all.Add(stored.Definition);
        return all;
    }

    private static async Task WriteZipAsync(HttpContext context, List<WorkflowDefinition> definitions)
    {
        context.Response.ContentType = "application/zip";
        context.Response.Headers.ContentDisposition = "attachment; filename=\"workflow-definitions.zip\"";
        await DefinitionPackage.WriteZipAsync(definitions.ToAsyncEnumerable(), context.Response.Body, context.RequestAborted);
    }

    private static string FileName(WorkflowDefinition definition)
    {
        var name = Slug(definition.Name ?? "");
        return string.Create(CultureInfo.InvariantCulture, $"workflow-definition{(name.Length > 0 ? "-" : "")}{name}-{Slug(definition.DefinitionId)}-{Slug(definition.Id)}.json");
    }

    /// <summary>A text that may stand in a file's name and a header.</summary>
    private static string Slug(string text)
    {
        var slug = new StringBuilder();
        foreach (var c in text)
        {
            if (slug.Length >= LongestSlug)
                break;
            if (char.IsAsciiLetterOrDigit(c) || c is '_' or '.')
                slug.Append(char.ToLowerInvariant(c));
            else if (slug.Length > 0 && slug[^1] != '-')
                slug.Append('-');
        }

        return slug.ToString().Trim('-', '.');
    }
}
