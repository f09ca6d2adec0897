using Conclave.Agents;
using Conclave.Agents.Activities;
using Conclave.Agents.Packages;
using Conclave.Agents.Tools;
using Conclave.Agents.Turns;
using Conclave.Inference.Budgets;
using Conclave.Server.Hosting;
using Conclave.Server.Inference;
using Conclave.Workflows.Runtime;
using Conclave.Workflows.Runtime.RunTests;

namespace Conclave.Server.Agents;

/// <summary>Adds agents, on the server's database. They are asked for only once the server has started.</summary>
internal static class AgentServices
{
    public static IServiceCollection AddAgents(this IServiceCollection services) => services
        .AddSingleton(provider => new AgentStore(provider.GetRequiredService<ServerRuntime>().Database, provider.GetRequiredService<TimeProvider>())
        {
            Activated = (tenant, id, token) => provider.GetRequiredService<ServerRuntime>().Runtime.Stimuli.DeliverAsync(CheckLimits.GoOn(tenant, id), token),
        })
        .AddSingleton(provider => new TurnStore(provider.GetRequiredService<ServerRuntime>().Database))
        .AddSingleton(provider => new Makeups(provider.GetRequiredService<ServerRuntime>().Database))
        .AddSingleton(provider =>
        {
            var server = provider.GetRequiredService<ServerRuntime>();
            return new TurnStarter(
                provider.GetRequiredService<AgentStore>(), provider.GetRequiredService<TurnStore>(), server.Database, server.Runtime, provider.GetRequiredService<TimeProvider>())
            {
                Budgets = provider.GetRequiredService<AgentBudgets>(),
                ToolHash = (tenant, name) => provider.GetRequiredService<ToolRegistry>().Find(tenant, name)?.Hash,
                PackageOf = (tenant, template) => provider.GetRequiredService<PackageRole>().Packages.Find(tenant, template) is { Current: { } current } ? $"{template}@{current.Hash}" : null,
                LostPackage = provider.GetRequiredService<PackageRole>().Packages.WhyLost,
                MoodOf = provider.GetRequiredService<PackageRole>().Moods.OfAsync,
            };
        })
        .AddSingleton(provider => new AgentBudgets(provider.GetRequiredService<BudgetLedger>()))
        .AddSingleton(provider => new RunTestStore(provider.GetRequiredService<ServerRuntime>().Database))
        .AddSingleton(provider => new RunTests(
            provider.GetRequiredService<ServerRuntime>().Runtime, provider.GetRequiredService<RunTestStore>(), provider.GetRequiredService<TimeProvider>())
        {
            Present = (tenant, recording, token) =>
                TurnTests.PresentAsync(provider.GetRequiredService<AgentStore>(), provider.GetRequiredService<TurnStarter>(), tenant, recording, token),
            Told = TurnTests.Told,
        })
        // A function, since the container would dispose of what is the server's.
        .AddSingleton<Func<WorkflowRuntime>>(provider => () => provider.GetRequiredService<ServerRuntime>().Runtime)
        .AddSingleton<Func<AgentPackages>>(provider => () => provider.GetRequiredService<PackageRole>().Packages)
        .AddSingleton<ModelNames>(provider => tenant =>
            provider.GetRequiredService<InferenceRole>() is { IsRunning: true } inference ? VisibleModel.AndAliases(inference, tenant).ConvertAll(m => m.Name) : [])
        .AddSingleton<PackageRole>()
        .AddSingleton<AgentStream>();
}
