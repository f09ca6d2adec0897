using System.Collections.Concurrent;
using Conclave.Server.Hosting;
using Conclave.Workflows.Http;
using Conclave.Workflows.Runtime.Definitions;
using Npgsql;

namespace Conclave.Server.Webhooks;

/// <summary>Who listens where: routes of published workflows, and templates of paths at which instances have waited.</summary>
internal sealed class WebhookRoutes(ServerRuntime server, TimeProvider time)
{
    private static readonly TimeSpan Freshness = TimeSpan.FromSeconds(1);

    private readonly ConcurrentDictionary<string, Table> _tables = new(StringComparer.Ordinal);
    private readonly ConcurrentDictionary<string, Templates> _templates = new(StringComparer.Ordinal);

    /// <summary>Routes of the published workflows of a tenant.</summary>
    public HttpRoutes<WorkflowTrigger> Of(string tenant) => _tables.GetOrAdd(tenant, t => new Table(server.Runtime.Catalog.Of(t).Triggers)).Routes;

    /// <summary>Templates of paths at which instances of a tenant wait, as routes for GET. Only requests that no trigger takes come here.</summary>
    public async ValueTask<HttpRoutes<string>> TemplatesOf(string tenant, CancellationToken cancellationToken)
    {
        if (_templates.TryGetValue(tenant, out var known) && time.GetElapsedTime(known.ReadAt) < Freshness)
            return known.Routes;
        await using var command = server.Database.CreateCommand("select template from conclave.http_template where tenant = $1");
        command.Parameters.Add(new NpgsqlParameter<string> { TypedValue = tenant });
        var routes = new HttpRoutes<string>();
        var readAt = time.GetTimestamp();
        await using var reader = await command.ExecuteReaderAsync(cancellationToken);
        while (await reader.ReadAsync(cancellationToken))
            routes = routes.Add(new HttpRoute<string>(reader.GetString(0), "GET", reader.GetString(0)));
        _templates[tenant] = new Templates(routes, readAt);
        return routes;
    }

    private sealed record Templates(HttpRoutes<string> Routes, long ReadAt);

    /// <summary>Follows the triggers of a tenant.</summary>
    private sealed class Table
    {
        private readonly TriggerIndex _triggers;
        private volatile HttpRoutes<WorkflowTrigger> _routes = new();

        public Table(TriggerIndex triggers)
        {
            _triggers = triggers;
            triggers.Changed += Rebuild;
            Rebuild();
        }

        public HttpRoutes<WorkflowTrigger> Routes => _routes;

        private void Rebuild() => _routes = new HttpRoutes<WorkflowTrigger>().AddRange(_triggers.All
            .Where(t => t.RouteKey is not null)
            .Select(t => new HttpRoute<WorkflowTrigger>(t.Payload.GetProperty("Path").GetString()!, t.Payload.GetProperty("Method").GetString()!, t)));
    }
}
