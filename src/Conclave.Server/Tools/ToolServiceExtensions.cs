using Conclave.Agents.Sandbox;
using Conclave.Agents.Tools;
using Conclave.Inference;
using Conclave.Server.Accounts.Sessions;
using Conclave.Server.Hosting;
using Conclave.Workflows.Expressions.Scripting;
using Conclave.Workflows.Http;
using Npgsql;

namespace Conclave.Server.Tools;

/// <summary>Adds tools, on the server's database. They are asked for only once the server has started.</summary>
internal static class ToolServiceExtensions
{
    public static IServiceCollection AddTools(this IServiceCollection services) => services
        .AddSingleton(provider => provider.GetRequiredService<ServerRuntime>().Tools)
        .AddSingleton(provider => provider.GetRequiredService<ToolServices>().Registry)
        .AddSingleton(provider => provider.GetRequiredService<ToolServices>().Permissions)
        .AddSingleton(provider => provider.GetRequiredService<ToolServices>().Executor)
        .AddSingleton(provider => provider.GetRequiredService<ToolServices>().Runs)
        .AddSingleton<McpPublisher>();

    /// <summary>Puts the tools of this process together.</summary>
    public static ToolServices NewTools(this IServiceProvider services, ServerOptions options, IConfiguration configuration, NpgsqlDataSource database, ScriptRunnerPool scripts)
    {
        var tools = new ToolServices(new ToolSetup
        {
            Options = configuration.GetSection(ToolOptions.Section).Get<ToolOptions>() ?? new(),
            Sandbox = configuration.GetSection(SandboxOptions.Section).Get<SandboxOptions>() ?? new(),
            DataFolder = options.DataFolder,
            Database = database,
            Scripts = scripts,
            Scripting = configuration.GetSection(ScriptRunnerOptions.Section).Get<ScriptRunnerOptions>() ?? new(),
            Http = configuration.GetSection(OutboundHttpOptions.Section).Get<OutboundHttpOptions>() ?? new(),
            Inference = services.GetService<IInference>(),
            Cipher = services.GetRequiredService<KeyEncryption>().For("conclave.tool-servers"),
            Settings = name => configuration[name],
            Loggers = services.GetRequiredService<ILoggerFactory>(),
            Time = services.GetRequiredService<TimeProvider>(),
        });
        tools.Executor.Approvals = services.GetService<ApprovalGate>();
        return tools;
    }

    /// <summary>The folder of definitions that this process watches; null for none.</summary>
    public static string? ToolFolder(this ServerOptions options, IConfiguration configuration) => !options.IsWeb ? null
        : configuration[$"{ToolOptions.Section}:Folder"] is { Length: > 0 } folder ? Path.GetFullPath(folder)
        : options.WorkflowsFolder is { } workflows ? Path.Combine(workflows, "tools") : null;
}
