using System.Runtime.InteropServices;
using Conclave.Agents;
using Conclave.Agents.Packages;
using Conclave.Agents.Tools;
using Conclave.Server.Accounts;
using Conclave.Server.Inference;
using Conclave.Workflows.Definitions;
using Conclave.Workflows.Runtime;
using Microsoft.AspNetCore.Components;
using Microsoft.AspNetCore.Components.Routing;
using Microsoft.JSInterop;

namespace Conclave.Server.Web.Agents;

/// <summary>Makes an agent, or changes what one is.</summary>
public sealed partial class ConfigurePage
{
    private Agent? _agent;
    private AgentForm? _form;
    private AgentConfiguration _basis = new();
    private IReadOnlyList<AgentPackage> _packages = [];
    private string _name = "";
    private string? _nameProblem;
    private string? _toolProblem;
    private string? _template;
    private string _find = "";
    private string? _filledIn;
    private bool _wasChanged;
    private bool _asksToDelete;

    /// <summary>Id of the agent; null for a new one.</summary>
    [Parameter]
    public string? Id { get; set; }

    [Inject]
    private AgentStore Agents { get; set; } = null!;

    [Inject]
    private AgentBudgets Budgets { get; set; } = null!;

    [Inject]
    private ToolServices Tools { get; set; } = null!;

    [Inject]
    private ModelNames Models { get; set; } = null!;

    [Inject]
    private Func<AgentPackages> Packages { get; set; } = null!;

    [Inject]
    private Func<WorkflowRuntime> Runtime { get; set; } = null!;

    [Inject]
    private NavigationManager Navigation { get; set; } = null!;

    [Inject]
    private IJSRuntime Browser { get; set; } = null!;

    private bool MayConfigure => May(Permissions.ReadAgents) && May(Permissions.WriteAgents);

    private bool IsChanged => _form is { } form && (form.IsChanged || _name != (_agent?.Name ?? ""));

    /// <inheritdoc/>
    protected override string NoAnswer => "The database did not answer. Nothing was saved; what you have filled in is still here.";

    /// <inheritdoc/>
    protected override async Task OnParametersSetAsync()
    {
        if (IsReady && _filledIn != (Id ?? ""))
            await LoadAsync();
    }

    /// <inheritdoc/>
    protected override async Task ReadAsync(CancellationToken cancellationToken)
    {
        // What was typed stays, whatever happens elsewhere.
        if (!MayConfigure || (_form is not null && _filledIn == (Id ?? "")))
            return;
        (_form, _agent, _asksToDelete) = (null, null, false);
        if (Id is null)
        {
            _packages = [.. Packages().List(Tenant).Where(p => p.IsUsable)];
            (_name, _template) = ("", null);
            Show(new AgentConfiguration());
        }
        else if (await Agents.FindAsync(Tenant, Id, cancellationToken) is { } agent)
        {
            (_agent, _name) = (agent, agent.Name);
            Show(agent.Configuration);
        }

        _filledIn = Id ?? "";
    }

    private void Show(AgentConfiguration configuration)
    {
        _basis = configuration;
        var library = Runtime().Catalog.Of(Tenant).Engine.Library;
        var behaviours = library.Definitions.Select(d => d.DefinitionId).Distinct(StringComparer.Ordinal)
            .Where(id => library.FindPublished(id) is { } published && Answers(published))
            .Order(StringComparer.Ordinal).ToList();
        _form = AgentForm.Of(configuration, new AgentOffers(Models(Tenant), behaviours, Tools.Registry.List(Tenant)));
    }

    private void ChooseTemplate(string? name)
    {
        var before = _template;
        _template = string.IsNullOrEmpty(name) ? null : name;
        if (_name.Length == 0 || _name == before)
            _name = _template ?? "";
        _basis = _packages.FirstOrDefault(p => p.Name == _template)?.Current?.ToConfiguration() ?? new AgentConfiguration();
        _form = _form!.Over(_basis);
    }

    private Task SaveAsync() => DoAsync(Permissions.WriteAgents, async () =>
    {
        (_nameProblem, _toolProblem, _wasChanged) = (null, null, false);
        var form = _form!;
        if (form.Read(_basis) is not { } configuration)
        {
            SayWhere(form);
            return;
        }

        Agent saved;
        try
        {
            saved = _agent is { } agent
                ? await Agents.UpdateAsync(agent, _name, configuration, agent.Version, Me.Name, Leaving)
                : await Agents.CreateAsync(Tenant, _name, _template, configuration, Me.Name, Leaving);
        }
        catch (AgentException refused) when (refused.Errors.Count > 0)
        {
            foreach (var (path, problems) in refused.Errors)
                Refuse(form, path, problems[0]);
            SayWhere(form);
            return;
        }
        catch (AgentException refused) when (refused.Failure == AgentFailure.Changed)
        {
            _wasChanged = true;
            Problem = $"Not saved: {refused.Message}";
            return;
        }

        _form = null;
        Navigation.NavigateTo($"/app/agents/{Uri.EscapeDataString(saved.Id)}");
    });

    private void Refuse(AgentForm form, string path, string problem)
    {
        problem = $"It {problem}";
        if (path == "name")
            _nameProblem = problem;
        else if (path is "tools" or "permissions" || !form.Refuse(path, problem))
            _toolProblem = problem;
    }

    private void SayWhere(AgentForm form)
    {
        string[] others = [.. _nameProblem is null ? [] : (string[])["Name"], .. _toolProblem is null ? [] : (string[])["Tools"]];
        Problem = $"Not saved, because of what is filled in at: {string.Join(", ", others.Concat(form.Refused))}. It is said there what is wrong.";
    }

    private Task TakeTheirsAsync() => DoAsync(Permissions.WriteAgents, async () =>
    {
        _wasChanged = false;
        var theirs = await Agents.FindAsync(Tenant, _agent!.Id, Leaving) ?? throw AgentStore.Missing(_agent.Name);
        if (_name == _agent.Name)
            _name = theirs.Name;
        (_agent, _basis) = (theirs, theirs.Configuration);
        _form = _form!.Over(_basis);
    });

    private void Undo()
    {
        (_nameProblem, _toolProblem, _wasChanged, Problem, _name) = (null, null, false, null, _agent!.Name);
        Show(_basis);
    }

    private Task DeleteAsync() => DoAsync(Permissions.WriteAgents, async () =>
    {
        _asksToDelete = false;
        await Agents.DeleteAsync(_agent!, Me.Name, Leaving);
        await Budgets.RemoveAsync(_agent!, Leaving);
        _form = null;
        Navigation.NavigateTo("/app/agents");
    });

    private async Task StayOrLeaveAsync(LocationChangingContext context)
    {
        if (IsChanged && !await Browser.InvokeAsync<bool>("confirm", context.CancellationToken, "Leave this page? What you have changed is not saved."))
            context.PreventNavigation();
    }

    /// <summary>Whether a workflow gives the answer of a turn.</summary>
    private static bool Answers(WorkflowDefinition definition)
    {
        var json = JsonMarshal.GetRawUtf8Value(definition.Root);
        return json.IndexOf("\"Conclave.Agents.StreamReply\""u8) >= 0 || json.IndexOf("\"Conclave.Agents.HandOff\""u8) >= 0;
    }

    private bool IsFound(ToolChoice choice) => _find.Length == 0 || choice.Name == "*"
        || choice.Name.Contains(_find, StringComparison.OrdinalIgnoreCase) || choice.Tool?.Definition.Description.Contains(_find, StringComparison.OrdinalIgnoreCase) == true;

    private static ToolMode? ModeOf(string? name) => Enum.TryParse<ToolMode>(name, ignoreCase: true, out var mode) ? mode : null;
}
