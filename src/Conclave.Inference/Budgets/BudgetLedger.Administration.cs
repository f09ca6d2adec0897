using Conclave.Workflows.Runtime.Postgres;
using Npgsql;

namespace Conclave.Inference.Budgets;

// What operators do with budgets.
public sealed partial class BudgetLedger
{
    private const string Columns = "b.tenant, b.name, b.scope, b.subject, b.period, b.money, b.tokens";
    private const int LargestUses = 100;

    /// <summary>Adds a budget, or changes the one of this name; what was spent stays spent.</summary>
    /// <param name="budget">The budget.</param>
    /// <param name="actor">Who does it.</param>
    /// <param name="cancellationToken">Ends the attempt.</param>
    /// <returns>Whether it is new.</returns>
    /// <exception cref="InferenceException"><see cref="InferenceFailure.BadRequest"/>: what is wrong with it, or another one is for the same already.</exception>
    public async Task<bool> PutAsync(Budget budget, string actor, CancellationToken cancellationToken)
    {
        if (budget.Problem() is { } problem) throw new InferenceException(InferenceFailure.BadRequest, "inference.budget_invalid", problem);
        // The lock of the revision's row makes changes wait for each other.
        await using var command = database.CreateCommand("""
            with turn as (update conclave.inference_budget_revision set revision = revision + 1 returning 1)
            insert into conclave.inference_budget as b (tenant, name, scope, subject, period, money, tokens, created_at, updated_at, updated_by)
            select $1, $2, $3, $4, $5, $6, $7, $8, $8, $9 from turn
                on conflict (tenant, name) do update
               set scope = excluded.scope, subject = excluded.subject, period = excluded.period, money = excluded.money, tokens = excluded.tokens,
                   updated_at = excluded.updated_at, updated_by = excluded.updated_by
            returning b.xmax = 0
            """);
        command.Parameters.AddValue(budget.Tenant);
        command.Parameters.AddValue(budget.Name);
        command.Parameters.AddValue((short)budget.Scope);
        command.Parameters.AddValue(budget.Subject);
        command.Parameters.AddValue((short)budget.Period);
        command.Parameters.Add(new NpgsqlParameter { Value = (object?)budget.Money ?? DBNull.Value, NpgsqlDbType = NpgsqlTypes.NpgsqlDbType.Numeric });
        command.Parameters.Add(new NpgsqlParameter { Value = (object?)budget.Tokens ?? DBNull.Value, NpgsqlDbType = NpgsqlTypes.NpgsqlDbType.Bigint });
        command.Parameters.AddValue(time.GetUtcNow().UtcDateTime);
        command.Parameters.AddValue(actor);
        var isNew = await command.ExecuteScalarAsync(cancellationToken) is true;
        await LookAsync(cancellationToken);
        return isNew;
    }

    /// <summary>Deletes a budget and what was spent of it.</summary>
    /// <returns>Whether there was one.</returns>
    public async Task<bool> DeleteAsync(string tenant, string name, CancellationToken cancellationToken)
    {
        await using var command = database.CreateCommand("""
            with turn as (update conclave.inference_budget_revision set revision = revision + 1 returning 1),
            gone as (delete from conclave.inference_budget b using turn where b.tenant = $1 and b.name = $2 returning 1),
            uses as (delete from conclave.inference_budget_use u using gone where u.tenant = $1 and u.budget = $2)
            select exists (select from gone)
            """);
        command.Parameters.AddValue(tenant);
        command.Parameters.AddValue(name);
        var existed = await command.ExecuteScalarAsync(cancellationToken) is true;
        await LookAsync(cancellationToken);
        return existed;
    }

    /// <summary>A tenant's budgets and what is spent of them now, by name.</summary>
    /// <param name="tenant">The tenant.</param>
    /// <param name="name">Only this one; null for all.</param>
    /// <param name="cancellationToken">Ends the attempt.</param>
    public async Task<IReadOnlyList<BudgetReport>> ListAsync(string tenant, string? name, CancellationToken cancellationToken)
    {
        await using var command = database.CreateCommand($"""
            select {Columns}, b.updated_at, b.updated_by, u.subject, u.starts, u.money_spent, u.tokens_spent, u.money_reserved, u.tokens_reserved, u.calls, u.updated_at
              from conclave.inference_budget b
              left join lateral (
                select * from conclave.inference_budget_use o
                 where o.tenant = b.tenant and o.budget = b.name and o.starts = conclave.inference_period_start(b.period, $3)
                   and (b.subject = '*' or o.subject = b.subject)
                 order by o.money_spent desc, o.tokens_spent desc, o.subject limit {LargestUses}) u on true
             where b.tenant = $1 and ($2::text is null or b.name = $2)
             order by b.name, u.money_spent desc, u.tokens_spent desc, u.subject
            """);
        command.Parameters.AddValue(tenant);
        command.Parameters.AddText(name);
        command.Parameters.AddValue(time.GetUtcNow().UtcDateTime);
        List<BudgetReport> reports = [];
        await using var reader = await command.ExecuteReaderAsync(cancellationToken);
        while (await reader.ReadAsync(cancellationToken))
        {
            var budget = Read(reader);
            if (reports.Count == 0 || reports[^1].Budget.Name != budget.Name)
                reports.Add(new BudgetReport(budget, new List<BudgetUse>(), reader.GetFieldValue<DateTimeOffset>(7), reader.GetString(8)));
            if (!reader.IsDBNull(9)) ((List<BudgetUse>)reports[^1].Uses).Add(ReadUse(reader, budget.Period, 9));
        }

        return reports;
    }

    /// <summary>What was spent of a budget in each period, the latest first.</summary>
    /// <param name="tenant">The tenant.</param>
    /// <param name="name">The budget.</param>
    /// <param name="subject">Only this one's; null for all.</param>
    /// <param name="from">Only periods that began then or later.</param>
    /// <param name="limit">At most so many.</param>
    /// <param name="cancellationToken">Ends the attempt.</param>
    /// <returns>The uses; null when there is no such budget. Those of 400 days are kept.</returns>
    public async Task<IReadOnlyList<BudgetUse>?> GetUsesAsync(
        string tenant, string name, string? subject, DateTimeOffset? from, int limit, CancellationToken cancellationToken)
    {
        if (await ListAsync(tenant, name, cancellationToken) is not [var report]) return null;
        await using var command = database.CreateCommand("""
            select subject, starts, money_spent, tokens_spent, money_reserved, tokens_reserved, calls, updated_at
              from conclave.inference_budget_use
             where tenant = $1 and budget = $2 and ($3::text is null or subject = $3) and ($4::timestamptz is null or starts >= $4)
             order by starts desc, money_spent desc, tokens_spent desc, subject limit $5
            """);
        command.Parameters.AddValue(tenant);
        command.Parameters.AddValue(name);
        command.Parameters.AddText(subject);
        command.Parameters.AddTime(from);
        command.Parameters.AddValue(limit);
        List<BudgetUse> uses = [];
        await using var reader = await command.ExecuteReaderAsync(cancellationToken);
        while (await reader.ReadAsync(cancellationToken)) uses.Add(ReadUse(reader, report.Budget.Period, 0));
        return uses;
    }

    private static Budget Read(NpgsqlDataReader row) => new()
    {
        Tenant = row.GetString(0),
        Name = row.GetString(1),
        Scope = (BudgetScope)row.GetInt16(2),
        Subject = row.GetString(3),
        Period = (BudgetPeriod)row.GetInt16(4),
        Money = row.IsDBNull(5) ? null : row.GetDecimal(5),
        Tokens = row.IsDBNull(6) ? null : row.GetInt64(6),
    };

    private static BudgetUse ReadUse(NpgsqlDataReader row, BudgetPeriod period, int first)
    {
        var starts = row.GetFieldValue<DateTimeOffset>(first + 1);
        return new BudgetUse(
            row.GetString(first), starts, Resets(period, starts),
            new BudgetAmount(row.GetDecimal(first + 2), row.GetInt64(first + 3)), new BudgetAmount(row.GetDecimal(first + 4), row.GetInt64(first + 5)),
            row.GetInt64(first + 6), row.GetFieldValue<DateTimeOffset>(first + 7));
    }
}
