using System.Text.Json;
using Conclave.Inference;
using Conclave.Inference.Budgets;
using Conclave.Server.Accounts;
using Conclave.Server.Api;
using Conclave.Server.Hosting;
using Conclave.Server.OpenApi;

namespace Conclave.Server.Inference;

/// <summary>What may be spent on models, for operators.</summary>
internal static class BudgetEndpoints
{
    private static readonly string[] Scopes = ["tenant", "agent", "instance", "api-key"];
    private static readonly string[] Periods = ["day", "month", "run"];

    /// <summary>Adds the ledger, on the server's database.</summary>
    public static IServiceCollection AddBudgets(this IServiceCollection services) => services.AddSingleton(provider => new BudgetLedger(
        provider.GetRequiredService<ServerRuntime>().Database, provider.GetRequiredService<TimeProvider>(), provider.GetRequiredService<ILogger<BudgetLedger>>()));

    public static void Map(RouteGroupBuilder budgets)
    {
        var group = budgets.WithTags("Budgets");
        group.MapGet("/", ListAsync).RequirePermission(Permissions.ReadInference)
            .Describe("ListBudgets", "List what may be spent on models, and what is", o => o.Answers<PageShape<BudgetShape>>());
        group.MapGet("/{name}", GetAsync).RequirePermission(Permissions.ReadInference)
            .Describe("GetBudget", "See a budget and what is spent of it", o => o.Answers<BudgetShape>());
        group.MapGet("/{name}/usage", UsageAsync).RequirePermission(Permissions.ReadInference)
            .Describe("ListBudgetUses", "See what was spent of a budget in each period, the latest first", o => o
                .Query("subject", "Only what this agent, instance or key spent.").Query<DateTimeOffset>("from", "Only periods that began then or later.")
                .Query<int>("limit", "Most items, 1 to 500; 50 without it.").Answers<PageShape<BudgetUseShape>>());
        group.MapPut("/{name}", PutAsync).RequirePermission(Permissions.ManageInference)
            .Describe("PutBudget", "Add a budget, or change it", o => o.Takes<BudgetRequest>().Answers<BudgetShape>().Answers<BudgetShape>(201, "It is new."));
        group.MapDelete("/{name}", async (HttpContext context, string name) =>
        {
            if (!await context.Budgets().DeleteAsync(context.Tenant(), name, context.RequestAborted)) throw NoBudget(name);
            context.Response.StatusCode = 204;
        }).RequirePermission(Permissions.ManageInference).Describe("DeleteBudget", "Delete a budget and what was spent of it", o => o.Answers(204));
    }

    private static BudgetLedger Budgets(this HttpContext context) => context.RequestServices.GetRequiredService<BudgetLedger>();

    private static async Task ListAsync(HttpContext context)
    {
        var reports = await context.Budgets().ListAsync(context.Tenant(), null, context.RequestAborted);
        await context.WritePageAsync(reports, null, Write);
    }

    private static async Task GetAsync(HttpContext context, string name)
    {
        var reports = await context.Budgets().ListAsync(context.Tenant(), name, context.RequestAborted);
        if (reports is not [var report]) throw NoBudget(name);
        await context.WriteJsonAsync(writer => Write(writer, report));
    }

    private static async Task UsageAsync(HttpContext context, string name)
    {
        DateTimeOffset? from = context.Query("from") is not { } text ? null
            : DateTimeOffset.TryParse(text, System.Globalization.CultureInfo.InvariantCulture, System.Globalization.DateTimeStyles.AssumeUniversal, out var time) ? time
            : throw ApiException.Bad($"'from' must be a time such as 2026-11-01T00:00:00Z; it is '{text}'.");
        var uses = await context.Budgets().GetUsesAsync(context.Tenant(), name, context.Query("subject"), from, context.Limit(), context.RequestAborted)
            ?? throw NoBudget(name);
        await context.WritePageAsync(uses, null, WriteUse);
    }

    private static async Task PutAsync(HttpContext context, string name)
    {
        var body = await context.ReadObjectAsync();
        foreach (var member in body.EnumerateObject())
        {
            if (member.Name is not ("scope" or "subject" or "period" or "money" or "tokens"))
                throw ApiException.Bad($"'{member.Name}' is not a member of a budget: scope, subject, period, money, tokens.");
        }

        var budget = new Budget
        {
            Tenant = context.Tenant(),
            Name = name,
            Scope = (BudgetScope)OneOf(body, "scope", Scopes),
            Subject = body.TryGetProperty("subject", out var subject) ? Text(subject) : "",
            Period = (BudgetPeriod)OneOf(body, "period", Periods),
            Money = body.TryGetProperty("money", out var money) && money.ValueKind != JsonValueKind.Null
                ? money.ValueKind == JsonValueKind.Number && money.TryGetDecimal(out var amount) ? amount : throw ApiException.Bad("'money' must be a number.")
                : null,
            Tokens = body.TryGetProperty("tokens", out var tokens) && tokens.ValueKind != JsonValueKind.Null
                ? tokens.ValueKind == JsonValueKind.Number && tokens.TryGetInt64(out var count) ? count : throw ApiException.Bad("'tokens' must be a whole number.")
                : null,
        };
        try
        {
            var isNew = await context.Budgets().PutAsync(budget, context.Actor(), context.RequestAborted);
            var report = (await context.Budgets().ListAsync(budget.Tenant, name, context.RequestAborted)).SingleOrDefault() ?? throw NoBudget(name);
            await context.WriteJsonAsync(writer => Write(writer, report), isNew ? 201 : 200);
        }
        catch (InferenceException wrong) when (wrong.Failure == InferenceFailure.BadRequest)
        {
            throw new ApiException(400, wrong.Code, wrong.Message);
        }

        static string Text(JsonElement value) => value.ValueKind switch
        {
            JsonValueKind.String => value.GetString()!,
            JsonValueKind.Null => "",
            _ => throw ApiException.Bad("'subject' must be a text."),
        };
    }

    private static int OneOf(JsonElement body, string member, string[] names)
    {
        var index = body.TryGetProperty(member, out var value) && value.ValueKind == JsonValueKind.String ? Array.IndexOf(names, value.GetString()) : -1;
        return index >= 0 ? index : throw ApiException.Bad($"'{member}' must be one of: {string.Join(", ", names)}.");
    }

    private static void Write(Utf8JsonWriter writer, BudgetReport report)
    {
        writer.WriteStartObject();
        writer.WriteString("name", report.Budget.Name);
        writer.WriteString("scope", Scopes[(int)report.Budget.Scope]);
        writer.WriteString("subject", report.Budget.Subject.Length > 0 ? report.Budget.Subject : null);
        writer.WriteString("period", Periods[(int)report.Budget.Period]);
        if (report.Budget.Money is { } money) writer.WriteNumber("money", money);
        else writer.WriteNull("money");
        if (report.Budget.Tokens is { } tokens) writer.WriteNumber("tokens", tokens);
        else writer.WriteNull("tokens");
        writer.WriteString("updatedAt", report.UpdatedAt);
        writer.WriteString("updatedBy", report.UpdatedBy);
        writer.WriteStartArray("uses");
        foreach (var use in report.Uses) WriteUse(writer, use);
        writer.WriteEndArray();
        writer.WriteEndObject();
    }

    private static void WriteUse(Utf8JsonWriter writer, BudgetUse use)
    {
        writer.WriteStartObject();
        writer.WriteString("subject", use.Subject.Length > 0 ? use.Subject : null);
        writer.WriteString("starts", use.Starts);
        if (use.Resets is { } resets) writer.WriteString("resets", resets);
        else writer.WriteNull("resets");
        writer.WriteNumber("moneySpent", use.Spent.Money);
        writer.WriteNumber("moneyReserved", use.Reserved.Money);
        writer.WriteNumber("tokensSpent", use.Spent.Tokens);
        writer.WriteNumber("tokensReserved", use.Reserved.Tokens);
        writer.WriteNumber("calls", use.Calls);
        writer.WriteString("updatedAt", use.UpdatedAt);
        writer.WriteEndObject();
    }

    private static ApiException NoBudget(string name) => new(404, "inference.budget_not_found", $"There is no budget '{name}'. GET /api/inference/budgets lists those that there are.");
}

/// <summary>A budget and what is spent of it in the current period.</summary>
/// <param name="Name">Its name.</param>
/// <param name="Scope">tenant, agent, instance or api-key.</param>
/// <param name="Subject">Id of the agent, instance or key; * for each one; null for the tenant.</param>
/// <param name="Period">day, month or run.</param>
/// <param name="Money">Most money; null for no such limit.</param>
/// <param name="Tokens">Most tokens, read and written; null for no such limit.</param>
/// <param name="UpdatedAt">When it was changed.</param>
/// <param name="UpdatedBy">By whom.</param>
/// <param name="Uses">What is spent, the largest spenders first; at most 100.</param>
internal sealed record BudgetShape(
    string Name, string Scope, string? Subject, string Period, decimal? Money, long? Tokens, DateTimeOffset UpdatedAt, string UpdatedBy, IReadOnlyList<BudgetUseShape> Uses);

/// <summary>What was spent of a budget in a period.</summary>
/// <param name="Subject">Whose spending it is; null for the tenant.</param>
/// <param name="Starts">When the period began.</param>
/// <param name="Resets">When the next one begins; null for never.</param>
/// <param name="MoneySpent">Money that calls took that have ended.</param>
/// <param name="MoneyReserved">Money set aside for what runs.</param>
/// <param name="TokensSpent">Tokens that calls took that have ended.</param>
/// <param name="TokensReserved">Tokens set aside for what runs.</param>
/// <param name="Calls">Calls that have ended.</param>
/// <param name="UpdatedAt">When that changed.</param>
internal sealed record BudgetUseShape(
    string? Subject, DateTimeOffset Starts, DateTimeOffset? Resets, decimal MoneySpent, decimal MoneyReserved, long TokensSpent, long TokensReserved, long Calls, DateTimeOffset UpdatedAt);

/// <summary>A budget to add or change.</summary>
/// <param name="Scope">tenant, agent, instance or api-key.</param>
/// <param name="Period">day, month or run.</param>
internal sealed record BudgetRequest(string Scope, string Period)
{
    /// <summary>Id of the agent, instance or key; * for each one; left out for the tenant.</summary>
    public string? Subject { get; init; }

    /// <summary>Most money; at least one of money and tokens is needed.</summary>
    public decimal? Money { get; init; }

    /// <summary>Most tokens, read and written.</summary>
    public long? Tokens { get; init; }
}
