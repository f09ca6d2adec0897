using System.Globalization;
using System.Text.Json;
using Conclave.Inference;
using Conclave.Inference.Routing;
using Conclave.Server.Accounts;
using Conclave.Server.Api;
using Conclave.Server.Inference.OpenAI;
using Conclave.Server.OpenApi;

namespace Conclave.Server.Inference;

/// <summary>Aliases, and where calls would go, for operators.</summary>
internal static class RoutingEndpoints
{
    public static void Map(RouteGroupBuilder inference)
    {
        var group = inference.MapGroup("").WithTags("Routing").AddEndpointFilter(OperatorProblems.HandleAsync);
        group.MapGet("/aliases", (HttpContext context) => context.WritePageAsync(OperatorProblems.Role(context).Aliases.List(context.Tenant()), null, Write))
            .RequirePermission(Permissions.ReadInference)
            .Describe("ListAliases", "List the aliases: those that people made, and the defaults (version 0)", o => o.Answers<PageShape<AliasShape>>().Refuses(503));
        group.MapGet("/aliases/{name}", (HttpContext context, string name) => WriteAsync(context, Find(context, name))).RequirePermission(Permissions.ReadInference)
            .Describe("GetAlias", "See an alias and its rules", o => o.Answers<AliasShape>().Refuses(404, 503));
        group.MapGet("/aliases/{name}/versions", VersionsAsync).RequirePermission(Permissions.ReadInference)
            .Describe("ListAliasVersions", "List the versions of an alias, newest first", o => o.Answers<PageShape<AliasShape>>().Refuses(503));
        group.MapPut("/aliases/{name}", PutAsync).RequirePermission(Permissions.ManageInference)
            .Describe("PutAlias", "Make an alias, or change its rules", o => o
                .Header("If-Match", "Refuses to overwrite what is not the version with this ETag.").Takes<JsonElement>().Answers<AliasShape>().Refuses(412, 503));
        group.MapDelete("/aliases/{name}", async (HttpContext context, string name) =>
        {
            var aliases = OperatorProblems.Role(context).Aliases;
            if (aliases.FindStored(context.Tenant(), name) is null)
                throw NoAlias(name);
            if (!await aliases.DeleteAsync(context.Tenant(), name, OperatorProblems.ExpectedVersion(context), context.Actor(), context.RequestAborted))
                throw Conflict(name);
            context.Response.StatusCode = 204;
        }).RequirePermission(Permissions.ManageInference)
            .Describe("DeleteAlias", "Take an alias away; a default of its name counts again", o => o
                .Header("If-Match", "Refuses to delete what is not the version with this ETag.").Answers(204).Refuses(404, 412, 503));
        group.MapPost("/route", RouteAsync).RequirePermission(Permissions.ReadInference)
            .Describe("PlanRoute", "See where a call would go and why, without making it", o => o.Takes<JsonElement>().Answers<RouteShape>().Refuses(403, 404, 503)
                .Note("Takes the body of /v1/chat/completions, or of /v1/embeddings, and the same headers."));
        group.MapPost("/calls/{id}/rating", RateAsync).RequirePermission(Permissions.CallModels, Permissions.ManageInference)
            .Describe("RateModelCall", "Say how good an answer was, from 0 to 1", o => o.Takes<RatingRequest>().Answers(204).Refuses(404, 503));
    }

    private static async Task VersionsAsync(HttpContext context, string name)
    {
        var versions = await OperatorProblems.Role(context).Aliases.HistoryAsync(context.Tenant(), name, context.RequestAborted);
        await context.WritePageAsync(versions, null, (writer, version) => JsonSerializer.Serialize(
            writer, new AliasShape(name, version.Version, version.CreatedAt, version.CreatedBy, Json(version.Alias)), OperatorJson.Default.AliasShape));
    }

    private static async Task PutAsync(HttpContext context, string name)
    {
        var body = await context.ReadObjectAsync();
        ModelAlias alias;
        try
        {
            var named = new System.Text.Json.Nodes.JsonObject { ["name"] = name };
            foreach (var member in body.EnumerateObject().Where(m => m.Name != "name"))
                named[member.Name] = System.Text.Json.Nodes.JsonNode.Parse(member.Value.GetRawText());
            alias = named.Deserialize(RoutingJson.Default.ModelAlias)!;
        }
        catch (JsonException exception)
        {
            throw new ApiException(400, "inference.alias_invalid", $"The alias cannot be read: {exception.Message}");
        }

        var stored = await OperatorProblems.Role(context).Aliases.SaveAsync(context.Tenant(), alias, OperatorProblems.ExpectedVersion(context), context.Actor(), context.RequestAborted)
            ?? throw Conflict(name);
        await WriteAsync(context, stored);
    }

    private static async Task RouteAsync(HttpContext context)
    {
        var body = await context.ReadObjectAsync();
        var router = OperatorProblems.Role(context).Router;
        var caller = CallContexts.Read(context);
        RoutePlan plan;
        Complexity? complexity = null;
        if (body.Member("input").ValueKind == JsonValueKind.Undefined)
        {
            var request = ChatRequest.Read(body);
            var call = new ChatCall(caller, request.Model, request.Messages, request.Options);
            complexity = Complexity.Of(call, CallNeeds.Of(call));
            plan = router.Plan(call);
        }
        else
        {
            var texts = body.Member("input").ValueKind == JsonValueKind.String ? [body.RequiredText("input")] : body.Texts("input") ?? [];
            plan = router.Plan(new EmbedCall(caller, body.RequiredText("model"), texts));
        }

        var decision = plan.Decision;
        var shape = new RouteShape(
            [.. plan.Candidates.Select(c => new RouteCandidateShape(c.Tier, c.Server.Name, c.Model.Name, c.Server.IsLocal, c.MaxWait?.TotalSeconds))],
            new RouteDecisionShape(decision.Requested, decision.Rule, decision.Complexity ?? complexity?.Score, decision.Reasons),
            complexity is null ? null : [.. complexity.Inputs.Select(i => new ComplexityInputShape(i.Name, i.Seen, i.Value, i.Weight))]);
        await context.WriteJsonAsync(writer => JsonSerializer.Serialize(writer, shape, OperatorJson.Default.RouteShape));
    }

    private static async Task RateAsync(HttpContext context, string id)
    {
        var rating = (await context.ReadObjectAsync()).Member("rating");
        if (rating.ValueKind != JsonValueKind.Number || rating.GetDouble() is not (>= 0 and <= 1))
            throw ApiException.Bad("'rating' must be a number from 0 (useless) to 1 (right).");
        if (!await OperatorProblems.Role(context).Rated.RateAsync(context.Tenant(), id, rating.GetDouble(), context.Actor(), context.RequestAborted))
            throw new ApiException(404, "inference.no_such_call", $"There is no model call '{id}' that a model answered, or it has not ended yet.");
        context.Response.StatusCode = 204;
    }

    private static StoredAlias Find(HttpContext context, string name)
    {
        var aliases = OperatorProblems.Role(context).Aliases;
        return aliases.FindStored(context.Tenant(), name) ?? aliases.FindDefault(context.Tenant(), name) ?? throw NoAlias(name);
    }

    private static Task WriteAsync(HttpContext context, StoredAlias alias)
    {
        context.Response.Headers.ETag = string.Create(CultureInfo.InvariantCulture, $"\"{alias.Version}\"");
        return context.WriteJsonAsync(writer => Write(writer, alias));
    }

    private static void Write(Utf8JsonWriter writer, StoredAlias stored) => JsonSerializer.Serialize(
        writer, new AliasShape(stored.Alias.Name, stored.Version, stored.CreatedAt, stored.CreatedBy, Json(stored.Alias)), OperatorJson.Default.AliasShape);

    private static JsonElement? Json(ModelAlias? alias) => alias is null ? null : JsonSerializer.SerializeToElement(alias, RoutingJson.Default.ModelAlias);

    private static ApiException NoAlias(string name) => new(404, "inference.no_such_alias", $"There is no alias '{name}'.");

    private static ApiException Conflict(string name) =>
        new(412, "inference.alias_changed", $"The alias '{name}' was changed by somebody else meanwhile. Read it again, and make the change there.");
}
