using System.Text.Json;
using Conclave.Server.Accounts;
using Conclave.Server.Api;
using Conclave.Server.OpenApi;

namespace Conclave.Server.ElsaApi.Labels;

/// <summary>Labels of workflows.</summary>
internal static class LabelEndpoints
{
    private const int LongestColor = 50;

    public static void Map(RouteGroupBuilder group)
    {
        group.MapGet("/labels", ListAsync).RequirePermission("read:workflow-definitions")
            .Describe("ElsaListLabels", "List labels", o => o.ElsaPages().Answers<PageShape<LabelShape>>());
        group.MapPost("/labels", (HttpContext context, LabelStore labels) => SaveAsync(context, null, labels)).RequirePermission("write:workflow-definitions")
            .Describe("ElsaCreateLabel", "Make a label", o => o.Takes<LabelRequest>().Answers<LabelShape>(201));
        group.MapGet("/labels/{id}", GetAsync).RequirePermission("read:workflow-definitions")
            .Describe("ElsaGetLabel", "Get a label", o => o.Answers<LabelShape>());
        group.MapPost("/labels/{id}", (HttpContext context, string id, LabelStore labels) => SaveAsync(context, id, labels)).RequirePermission("write:workflow-definitions")
            .Describe("ElsaChangeLabel", "Change a label", o => o.Takes<LabelRequest>().Answers<LabelShape>());
        group.MapDelete("/labels/{id}", DeleteAsync).RequirePermission("write:workflow-definitions")
            .Describe("ElsaDeleteLabel", "Delete a label", o => o.Answers(204));
        group.MapGet("/workflow-definitions/{versionId}/labels", ReadOfVersionAsync).RequirePermission("read:workflow-definitions")
            .Describe("ElsaGetLabelsOfVersion", "List the labels of a version", o => o.Answers<LabelIdsShape>());
        group.MapPost("/workflow-definitions/{versionId}/labels", ReplaceOfVersionAsync).RequirePermission("write:workflow-definitions")
            .Describe("ElsaSetLabelsOfVersion", "Replace the labels of a version", o => o.Takes<LabelIdsRequest>().Answers<ReplacedLabelsShape>());
    }

    private static async Task ListAsync(HttpContext context, LabelStore labels)
    {
        var (items, total) = await labels.ListAsync(context.Tenant(), ElsaQuery.ReadPage(context.Number("page"), context.Number("pageSize")), context.RequestAborted);
        await context.WriteJsonAsync(writer =>
        {
            writer.WriteStartObject();
            writer.WriteStartArray("items");
            foreach (var label in items)
                Write(writer, label);
            writer.WriteEndArray();
            writer.WriteNumber("totalCount", total);
            writer.WriteEndObject();
        });
    }

    private static async Task GetAsync(HttpContext context, string id, LabelStore labels)
    {
        var label = await labels.FindAsync(context.Tenant(), id, context.RequestAborted) ?? throw NotFound(id);
        await context.WriteJsonAsync(writer => Write(writer, label));
    }

    private static async Task SaveAsync(HttpContext context, string? id, LabelStore labels)
    {
        var body = await context.ReadObjectAsync();
        if (id is not null && await labels.FindAsync(context.Tenant(), id, context.RequestAborted) is null)
            throw NotFound(id);
        var name = JsonText.CheckName("name", ElsaQuery.TextOf(body, "name")?.Trim());
        if (name is null or "")
            throw ApiException.Bad("'name' is missing.");
        var color = JsonText.CheckName("color", ElsaQuery.TextOf(body, "color"));
        if (color is { Length: > LongestColor })
            throw ApiException.Bad($"'color' may have at most {LongestColor} characters.");
        var label = new Label(id ?? Guid.CreateVersion7().ToString("N"), name, name.ToLowerInvariant(), ElsaQuery.TextOf(body, "description"), color);
        if (!await labels.SaveAsync(context.Tenant(), label, context.RequestAborted))
            throw ApiException.Bad($"There is a label '{name}' already.");
        await context.WriteJsonAsync(writer => Write(writer, label), id is null ? StatusCodes.Status201Created : StatusCodes.Status200OK);
    }

    private static async Task DeleteAsync(HttpContext context, string id, LabelStore labels)
    {
        if (!await labels.DeleteAsync(context.Tenant(), id, context.RequestAborted))
            throw NotFound(id);
        context.Response.StatusCode = StatusCodes.Status204NoContent;
    }

    private static async Task ReadOfVersionAsync(HttpContext context, string versionId, LabelStore labels)
    {
        await CheckAsync(context, versionId);
        await WriteIdsAsync(context, "items", await labels.ReadOfVersionAsync(context.Tenant(), versionId, context.RequestAborted));
    }

    private static async Task ReplaceOfVersionAsync(HttpContext context, string versionId, LabelStore labels)
    {
        var ids = ElsaQuery.TextsOf(await context.ReadObjectAsync(), "labelIds") ?? throw ApiException.Bad("'labelIds' must be a list of ids.");
        await CheckAsync(context, versionId);
        await labels.ReplaceOfVersionAsync(context.Tenant(), versionId, ids, context.RequestAborted);
        await WriteIdsAsync(context, "labelIds", await labels.ReadOfVersionAsync(context.Tenant(), versionId, context.RequestAborted));
    }

    private static async Task CheckAsync(HttpContext context, string versionId)
    {
        if (await context.Runtime().Catalog.Store.FindAsync(context.Tenant(), versionId, context.RequestAborted) is null)
            throw ApiException.NoWorkflow(versionId);
    }

    private static Task WriteIdsAsync(HttpContext context, string name, IReadOnlyList<string> ids) => context.WriteJsonAsync(writer =>
    {
        writer.WriteStartObject();
        writer.WriteStartArray(name);
        foreach (var id in ids)
            writer.WriteStringValue(id);
        writer.WriteEndArray();
        writer.WriteEndObject();
    });

    private static void Write(Utf8JsonWriter writer, Label label)
    {
        writer.WriteStartObject();
        writer.WriteString("id", label.Id);
        writer.WriteString("name", label.Name);
        writer.WriteString("normalizedName", label.NormalizedName);
        if (label.Description is { } description)
            writer.WriteString("description", description);
        if (label.Color is { } color)
            writer.WriteString("color", color);
        writer.WriteEndObject();
    }

    private static ApiException NotFound(string id) => new(404, "label.not_found", $"There is no label '{id}'.");
}
