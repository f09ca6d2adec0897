using System.Text.Json;
using Conclave.Server.Accounts;
using Conclave.Server.OpenApi;
using Conclave.Workflows.Definitions;
using Conclave.Workflows.Expressions;
using Conclave.Workflows.Runtime.Operations;
using static Conclave.Server.Api.JsonText;

namespace Conclave.Server.Api;

/// <summary>What people do to instances, one or many.</summary>
internal static class OperationEndpoints
{
    public static void Map(RouteGroupBuilder group)
    {
        // Which right it needs, depends on the operation.
        group.MapPost("/bulk", BulkAsync)
            .Describe("ChangeInstances", "Cancel, retry, resume, migrate or set variables of many instances", o => o
                .Takes<BulkRequest>().Answers<BulkShape>().Note("Needs the right that the operation needs for one instance."));
        MapChange<ReasonRequest>("cancel", "CancelInstance", "Cancel an instance");
        MapChange<RetryRequest>("retry", "RetryInstance", "Run activities again that faulted");
        MapChange<ResumeRequest>("resume", "ResumeInstance", "Go on at a bookmark");
        MapChange<VariablesRequest>("variables", "SetInstanceVariables", "Set variables", isOptional: false);
        group.MapPost("/{id}/migrate", MigrateAsync).RequirePermission(PermissionFor("migrate"))
            .Describe("MigrateInstance", "Move an instance to another version", o => o.Takes<MigrateRequest>().Answers<MigrationShape>());

        void MapChange<TRequest>(string operation, string name, string summary, bool isOptional = true) => group
            .MapPost($"/{{id}}/{operation}", (HttpContext context, string id) => ChangeAsync(context, id, operation)).RequirePermission(PermissionFor(operation))
            .Describe(name, summary, o => o.Takes<TRequest>(isOptional).Answers<InstanceShape>());
    }

    private static async Task ChangeAsync(HttpContext context, string id, string operation)
    {
        var change = Read(context, operation, await context.ReadObjectAsync());
        await change(id, context.RequestAborted);
        var found = await context.Runtime().Instances.FindAsync(context.Tenant(), id, context.RequestAborted) ?? throw ApiException.NoInstance(id);
        await InstanceEndpoints.WriteAsync(context, found);
    }

    private static async Task MigrateAsync(HttpContext context, string id)
    {
        var body = await context.ReadObjectAsync();
        var report = await context.Runtime().Operations.MigrateAsync(
            context.Tenant(), id, Version(body), Flag(body, "dryRun"), context.Actor(), Text(body, "reason"), context.RequestAborted);
        await context.WriteJsonAsync(writer => Write(writer, report));
    }

    private static async Task BulkAsync(HttpContext context)
    {
        var body = await context.ReadObjectAsync();
        var operation = Text(body, "operation") ?? throw ApiException.Bad("'operation' must be cancel, retry, resume, variables or migrate.");
        context.Demand(PermissionFor(operation));
        var change = Read(context, operation, body);
        BulkResult result;
        if (body.TryGetProperty("ids", out var ids) && ids.ValueKind == JsonValueKind.Array)
            result = await InstanceOperations.BulkAsync([.. ids.EnumerateArray().Select(i => i.GetString() ?? "")], change, context.RequestAborted);
        else if (body.TryGetProperty("filter", out var filter) && filter.ValueKind == JsonValueKind.Object && filter.EnumerateObject().Any())
            result = await context.Runtime().Operations.BulkAsync(context.Tenant(), InstanceEndpoints.ReadFilter(name => Member(filter, name)), change, context.RequestAborted);
        else
            throw ApiException.Bad("Say which instances: 'ids', or 'filter' with at least one of definitionId, status, subStatus, correlationId, parentId, hasIncidents.");
        await context.WriteJsonAsync(writer =>
        {
            writer.WriteStartObject();
            writer.WriteNumber("done", result.Done);
            writer.WriteStartArray("failed");
            foreach (var failure in result.Failed)
            {
                writer.WriteStartObject();
                writer.WriteString("id", failure.Id);
                writer.WriteString("code", failure.Code);
                writer.WriteString("message", failure.Message);
                writer.WriteEndObject();
            }

            writer.WriteEndArray();
            writer.WriteEndObject();
        });
    }

    /// <summary>Reads what is to be done before anything is.</summary>
    private static Func<string, CancellationToken, Task> Read(HttpContext context, string operation, JsonElement body)
    {
        var operations = context.Runtime().Operations;
        var (tenant, actor, reason) = (context.Tenant(), context.Actor(), Text(body, "reason"));
        switch (operation)
        {
            case "cancel":
                return (id, token) => operations.CancelAsync(tenant, id, actor, reason, token);
            case "retry":
                var activity = Number(body, "activityInstance");
                return (id, token) => operations.RetryAsync(tenant, id, activity, actor, reason, token);
            case "resume":
                var bookmark = Number(body, "bookmark");
                var input = body.TryGetProperty("input", out var given) ? ValueConverter.FromJson(given) : null;
                return (id, token) => operations.ResumeAsync(tenant, id, bookmark, input, actor, reason, token);
            case "variables":
                if (!body.TryGetProperty("values", out var values) || values.ValueKind != JsonValueKind.Object)
                    throw ApiException.Bad("'values' must be an object with values by the names of variables.");
                var named = values.EnumerateObject().ToDictionary(v => v.Name, v => ValueConverter.FromJson(v.Value));
                return (id, token) => operations.SetVariablesAsync(tenant, id, named, actor, reason, token);
            case "migrate":
                var (version, dryRun) = (Version(body), Flag(body, "dryRun"));
                return async (id, token) => (await operations.MigrateAsync(tenant, id, version, dryRun, actor, reason, token)).ThrowIfRefused();
            default:
                throw NoOperation(operation);
        }
    }

    private static string PermissionFor(string operation) => operation switch
    {
        "cancel" => Permissions.CancelInstances,
        "retry" => Permissions.RetryInstances,
        "resume" => Permissions.ResumeInstances,
        "variables" => Permissions.WriteInstances,
        "migrate" => Permissions.MigrateInstances,
        _ => throw NoOperation(operation),
    };

    private static ApiException NoOperation(string operation) =>
        ApiException.Bad($"'operation' must be cancel, retry, resume, variables or migrate; it is '{operation}'.");

    private static void Write(Utf8JsonWriter writer, MigrationReport report)
    {
        writer.WriteStartObject();
        writer.WriteString("from", report.From);
        writer.WriteString("to", report.To);
        writer.WriteBoolean("applied", report.Applied);
        writer.WriteStartArray("problems");
        foreach (var problem in report.Problems)
        {
            writer.WriteStartObject();
            writer.WriteString("code", problem.Code);
            writer.WriteString("message", problem.Message);
            writer.WriteString("severity", problem.Severity == ProblemSeverity.Error ? "error" : "warning");
            writer.WriteString("activityId", problem.ActivityId);
            writer.WriteEndObject();
        }

        writer.WriteEndArray();
        writer.WriteEndObject();
    }

    private static string Version(JsonElement body) =>
        Member(body, "version") is { Length: > 0 } version ? version : throw ApiException.Bad("'version' must be the number or the id of a version.");

    private static int? Number(JsonElement body, string name) => !body.TryGetProperty(name, out var value) || value.ValueKind == JsonValueKind.Null
        ? null
        : value.ValueKind == JsonValueKind.Number && value.TryGetInt32(out var number) ? number : throw ApiException.Bad($"'{name}' must be a number.");

    private static bool Flag(JsonElement body, string name) => body.TryGetProperty(name, out var value) && value.ValueKind != JsonValueKind.Null
        && (value.ValueKind is JsonValueKind.True or JsonValueKind.False ? value.GetBoolean() : throw ApiException.Bad($"'{name}' must be true or false."));

    /// <summary>A member as text; null when it is missing.</summary>
    private static string? Member(JsonElement body, string name) =>
        body.TryGetProperty(name, out var value) ? ValueConverter.ToText(ValueConverter.FromJson(value)) : null;
}
