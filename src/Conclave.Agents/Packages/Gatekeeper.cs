using System.Text.Json;
using Conclave.Workflows.Definitions;
using Conclave.Workflows.Expressions.Scripting;

namespace Conclave.Agents.Packages;

/// <summary>Looks at a package before anything of it is used: manifest, assets, logic, heartbeat, behaviours, in this order.</summary>
/// <remarks>A stage that finds something is the last one. Nothing of the logic runs before all of its text was read, and then only in the sandbox.</remarks>
/// <param name="scripts">Checks JSON, reads scripts and loads them.</param>
/// <param name="compile">Compiles a workflow of a tenant that need not be stored.</param>
public sealed class Gatekeeper(
    ScriptRunnerPool scripts, Func<string, WorkflowDefinition, CancellationToken, ValueTask<WorkflowGraph>> compile)
{
    private static readonly TimeSpan HeartbeatLimit = TimeSpan.FromSeconds(5);

    /// <summary>Looks at a package.</summary>
    /// <param name="tenant">Whose package it is to be.</param>
    /// <param name="content">Its files.</param>
    /// <param name="cancellationToken">Stops looking.</param>
    /// <exception cref="ScriptException">No script runner can be started, or too much waits for one: that is no fault of the package.</exception>
    public async Task<GatekeeperReport> CheckAsync(string tenant, PackageContent content, CancellationToken cancellationToken)
    {
        var report = new GatekeeperReport(content);
        var problems = new List<PackageProblem>();
        var manifest = await ManifestCheck.ReadAsync(scripts, content, problems, cancellationToken);
        report = report with { Manifest = manifest };
        if (!Passes(PackageStage.Manifest))
            return report;

        problems.AddRange(content.Problems);
        AssetCheck.Find(content, manifest!, problems);
        if (!Passes(PackageStage.Assets))
            return report;

        var logic = content.Find(PackageContent.Logic);
        if (logic is not null)
        {
            foreach (var finding in await ReadLogicAsync(logic, cancellationToken))
                problems.Add(new PackageProblem(PackageStage.Logic, $"agent_package.logic.{finding.Rule.Replace('-', '_')}", finding.Message, PackageContent.Logic, finding.Line));
        }

        if (!Passes(PackageStage.Logic))
            return report;

        if (logic is not null)
            report = report with { Tools = await HeartbeatAsync(LogicScript.Text(logic), content.Hash, problems, cancellationToken) };
        if (!Passes(PackageStage.Heartbeat))
            return report;

        await CheckBehavioursAsync(tenant, content, manifest!, problems, cancellationToken);
        Passes(PackageStage.Behaviours);
        return report;

        bool Passes(PackageStage stage)
        {
            report = problems.Count == 0 ? report with { Passed = [.. report.Passed, stage] } : report with { Problems = [.. problems] };
            return problems.Count == 0;
        }
    }

    private async Task<IReadOnlyList<ScriptFinding>> ReadLogicAsync(PackageFile logic, CancellationToken cancellationToken)
    {
        try
        {
            return await scripts.AnalyseScriptAsync(logic.Content, cancellationToken);
        }
        catch (ScriptException exception) when (exception.Kind is not (ScriptFailure.Unavailable or ScriptFailure.Busy))
        {
            return [new ScriptFinding("unreadable", $"The script cannot be read as a whole: {exception.Message}. Nest less deep, and make it shorter.", 1, 1)];
        }
    }

    private async Task<IReadOnlyList<LogicTool>> HeartbeatAsync(string logic, string hash, List<PackageProblem> problems, CancellationToken cancellationToken)
    {
        using var limit = new CancellationTokenSource(HeartbeatLimit);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(limit.Token, cancellationToken);
        JsonElement answer;
        try
        {
            var result = await scripts.EvaluateAsync(new JavaScriptRequest { Script = LogicScript.Heartbeat(logic, hash), Name = PackageContent.Logic }, either.Token);
            answer = result.Value.ToElement();
        }
        catch (ScriptException exception) when (exception.Kind is not (ScriptFailure.Unavailable or ScriptFailure.Busy))
        {
            Fail("heartbeat_failed", $"The script cannot be loaded: {exception.ErrorName}{(exception.ErrorName is null ? "" : ": ")}{exception.ErrorMessage ?? exception.Message}.", exception.Line);
            return [];
        }
        catch (OperationCanceledException) when (!cancellationToken.IsCancellationRequested)
        {
            Fail("heartbeat_failed", $"The script was not loaded within {HeartbeatLimit.TotalSeconds:0} s. Do the work in run, not when the script is loaded.", null);
            return [];
        }

        if (answer.ValueKind != JsonValueKind.Object || !answer.TryGetProperty("hash"u8, out var answered) || answered.GetString() != hash)
        {
            Fail("heartbeat_failed", "The script did not answer with the hash of its package: what was loaded is not what was checked.", null);
            return [];
        }

        foreach (var problem in answer.GetProperty("problems"u8).EnumerateArray())
            Fail("bad_tool", problem.GetString()!, null);
        if (problems.Count > 0)
            return [];
        var tools = answer.GetProperty("tools"u8).Deserialize(PackageJson.Default.IReadOnlyListLogicTool)!;
        foreach (var tool in tools)
        {
            try
            {
                await scripts.ValidateJsonAsync(JsonSerializer.SerializeToUtf8Bytes(tool.Parameters, PackageJson.Default.JsonElement), "{}"u8.ToArray(), cancellationToken);
            }
            catch (ScriptException exception) when (exception.Kind is not (ScriptFailure.Unavailable or ScriptFailure.Busy))
            {
                Fail("bad_tool", $"'parameters' of the tool '{tool.Name}': {exception.Message}", null);
            }
        }

        return problems.Count == 0 ? tools : [];

        void Fail(string code, string message, int? line) => problems.Add(new PackageProblem(PackageStage.Heartbeat, $"agent_package.{code}", message, PackageContent.Logic, line));
    }

    private async Task CheckBehavioursAsync(string tenant, PackageContent content, AgentManifest manifest, List<PackageProblem> problems, CancellationToken cancellationToken)
    {
        foreach (var entry in PackageBehaviours.Read(content, manifest))
        {
            var found = entry.Problems;
            if (entry.Definition is { } definition)
            {
                try
                {
                    found = (await compile(tenant, definition, cancellationToken)).Problems;
                }
                catch (WorkflowDefinitionException exception)
                {
                    found = exception.Problems;
                }
            }

            problems.AddRange(found.Where(p => p.Severity == ProblemSeverity.Error)
                .Select(p => new PackageProblem(PackageStage.Behaviours, "agent_package.behaviour_invalid", p.ToString(), entry.File)));
        }
    }
}
