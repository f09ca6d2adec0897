using System.Security.Claims;
using System.Text.Json;
using Bunit;
using Bunit.TestDoubles;
using Conclave.Agents;
using Conclave.Agents.Actions;
using Conclave.Agents.Approvals;
using Conclave.Agents.Packages;
using Conclave.Agents.Tools;
using Conclave.Agents.Turns;
using Conclave.Inference.Budgets;
using Conclave.Inference.Streaming;
using Conclave.Server;
using Conclave.Server.Accounts;
using Conclave.Server.Inference;
using Conclave.Tests.Runtime;
using Conclave.Tests.Runtime.Postgres;
using Conclave.Workflows.Runtime;
using Conclave.Workflows.Runtime.RunTests;
using Microsoft.AspNetCore.Components;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging.Abstractions;
using Npgsql;
using Radzen;

namespace Conclave.Tests.Server.Web;

/// <summary>Pages on a database of their own, as a signed-in person sees them.</summary>
internal sealed class PageHost : IAsyncDisposable
{
    public const string Tenant = Tenants.Default;
    public static readonly Person Ann = new("id-ann", "ann");
    public static readonly Person Bob = new("id-bob", "bob");
    private readonly BunitContext _context = new();
    private readonly BunitAuthorizationContext _authorization;
    private readonly ApprovalWatch _watch;
    private readonly BudgetLedger _ledger;
    private readonly AgentPackages _packages;
    private TestRuntime? _runtime;

    // A busy machine draws late.
    static PageHost() => BunitContext.DefaultWaitTimeout = TimeSpan.FromSeconds(30);

    private PageHost(TestDatabase database)
    {
        Database = database;
        var source = database.DataSource;
        _watch = new ApprovalWatch(source, TimeProvider.System, NullLogger<ApprovalWatch>.Instance);
        Approvals = new ApprovalStore(source, TimeProvider.System)
        {
            MayDecide = roles => roles.Contains("operator"),
            Validate = (_, _, _) => ValueTask.FromResult<IReadOnlyList<string>>([]),
        };
        _ledger = new BudgetLedger(source, TimeProvider.System, NullLogger<BudgetLedger>.Instance);
        _packages = new AgentPackages(source, TimeProvider.System, NullLogger<AgentPackages>.Instance);
        Agents = new AgentStore(source, TimeProvider.System);
        Turns = new TurnStore(source);
        RunTests = new RunTestStore(source);
        Tokens = new TokenStreams(source, TimeProvider.System, NullLogger<TokenStreams>.Instance);
        _context.Services
            .AddSingleton(Approvals).AddSingleton(_watch).AddSingleton(Agents).AddSingleton(Turns).AddSingleton(TimeProvider.System).AddSingleton(new NotificationService())
            .AddSingleton(Tokens)
            .AddSingleton(RunTests)
            .AddSingleton(_ => Tools!)
            .AddSingleton<Func<AgentPackages>>(() => _packages)
            .AddSingleton<ModelNames>(_ => ["smart", "brain"])
            .AddSingleton(new AgentBudgets(_ledger))
            .AddSingleton(_ => new RunTests(_runtime!.Runtime, RunTests, TimeProvider.System))
            .AddSingleton<Func<WorkflowRuntime>>(() => _runtime!.Runtime)
            .AddSingleton(_ => new TurnStarter(Agents, Turns, source, _runtime!.Runtime, TimeProvider.System));
        _authorization = _context.AddAuthorization();
        _context.SetRendererInfo(new RendererInfo("Server", true));
        As(Ann, Permissions.All);
    }

    public TestDatabase Database { get; }

    public ApprovalStore Approvals { get; }

    public AgentStore Agents { get; }

    public TurnStore Turns { get; }

    public RunTestStore RunTests { get; }

    public TokenStreams Tokens { get; }

    /// <summary>Where the browser was sent to.</summary>
    public BunitNavigationManager Navigation => _context.Services.GetRequiredService<BunitNavigationManager>();

    /// <summary>Tools, for pages that need them.</summary>
    public ToolServices? Tools { get; set; }

    public static async Task<PageHost> StartAsync()
    {
        var host = new PageHost(await PostgresServer.NewDatabaseAsync());
        foreach (var person in (Person[])[Ann, Bob])
        {
            await host.Database.ExecuteAsync($"""
                insert into conclave.account (tenant, id, user_name, normalized_name, security_stamp, roles, created_at)
                values ('{Tenant}', '{person.Id}', '{person.Name}', '{person.Name.ToUpperInvariant()}', 's', array['operator'], now())
                """);
        }

        return host;
    }

    /// <summary>Puts a package there that agents can be made of.</summary>
    public async Task AddPackageAsync(AgentManifest manifest)
    {
        var content = new PackageContent(manifest.Name, [], []);
        await _packages.AcceptAsync(Tenant, new GatekeeperReport(content) { Manifest = manifest }, PackageSource.Upload, "ann", default);
    }

    /// <summary>Gives pages the runtime that some of them need.</summary>
    public async Task StartRuntimeAsync() => _runtime = await TestRuntime.StartAsync(Database, isWorker: false, catalog: AgentActivities.Catalog);

    /// <summary>Signs somebody in.</summary>
    public void As(Person person, params string[] permissions) => _authorization.SetAuthorized(person.Name)
        .SetClaims([new Claim(ClaimTypes.NameIdentifier, person.Id), new Claim(ClaimTypes.Name, person.Name), .. permissions.Select(p => new Claim(Permissions.ClaimType, p))]);

    /// <summary>Draws a page.</summary>
    public IRenderedComponent<T> Draw<T>(Action<ComponentParameterCollectionBuilder<T>>? set = null)
        where T : IComponent => _context.Render(set);

    /// <summary>What people are asked for.</summary>
    /// <param name="id">Its id.</param>
    /// <param name="more">Columns that differ from the usual ones.</param>
    public async Task AskAsync(string id, params (string Column, object? Value)[] more)
    {
        var action = new ProposedAction(Tenant, "refunds", "refund", "h1", JsonElement.Parse("""{"amount":120,"order":"A-7"}"""));
        var row = new Dictionary<string, object?>
        {
            ["tenant"] = Tenant,
            ["id"] = id,
            ["kind"] = "approval",
            ["instance_id"] = $"i-{id}",
            ["activity_id"] = "ask",
            ["title"] = $"Refund {id}",
            ["description"] = "",
            ["action"] = action.Canonical,
            ["action_hash"] = action.Hash,
            ["current_action"] = action.Canonical,
            ["current_hash"] = action.Hash,
            ["is_editable"] = true,
            ["allow_self"] = false,
            ["assignees"] = Array.Empty<string>(),
            ["groups"] = Array.Empty<string>(),
            ["quorum"] = 1,
            ["denial_is_final"] = true,
            ["priority"] = 2,
            ["reminders"] = 0,
            ["escalation_assignees"] = Array.Empty<string>(),
            ["escalation_groups"] = Array.Empty<string>(),
            ["valid_for"] = "1 day",
            ["status"] = "pending",
            ["created_at"] = DateTimeOffset.UtcNow,
            ["updated_at"] = DateTimeOffset.UtcNow,
        };
        foreach (var (column, value) in more)
            row[column] = value;
        await using var command = Database.DataSource.CreateCommand("insert into conclave.approval select * from json_populate_record(null::conclave.approval, $1)");
        command.Parameters.Add(new NpgsqlParameter { Value = JsonSerializer.Serialize(row), NpgsqlDbType = NpgsqlTypes.NpgsqlDbType.Json });
        await command.ExecuteNonQueryAsync();
        // At which the workflow waits.
        await Database.ExecuteAsync($"""
            insert into conclave.bookmark (tenant, instance_id, number, name, hash, activity_id, payload, created_at)
            values ('{Tenant}', 'i-{id}', 1, 'Conclave.Approval', conclave.approval_key('{id}'), 'ask', '', now())
            """);
    }

    /// <summary>A turn of an agent, and how it ended; null while it is under way.</summary>
    public async Task TurnAsync(Agent agent, string id, string message, string? answer, string conversation = "c1")
    {
        await using var command = Database.DataSource.CreateCommand("""
            with begun as (select conclave.begin_turn_or_refuse($1, $2, $3, $4, 'ann', 'm1', $5, 8, 5, interval '1 hour', now()))
            select count(*) from begun
            """);
        foreach (var value in (string[])[Tenant, id, agent.Id, conversation, message])
            command.Parameters.Add(new NpgsqlParameter { Value = value });
        await command.ExecuteNonQueryAsync();
        if (answer is not null)
        {
            await Database.ExecuteAsync($"update conclave.agent_turn set answer = '{answer}', model_calls = 2, input_tokens = 30, output_tokens = 5, cost = 0.0042 where id = '{id}'");
            await Database.ExecuteAsync($"select conclave.turn_stored('{Tenant}', '{id}', 'completed', null, now())");
        }
    }

    public async ValueTask DisposeAsync()
    {
        await _context.DisposeAsync();
        await _watch.DisposeAsync();
        await _ledger.DisposeAsync();
        if (_runtime is not null)
            await _runtime.DisposeAsync();
        await Database.DisposeAsync();
    }
}
