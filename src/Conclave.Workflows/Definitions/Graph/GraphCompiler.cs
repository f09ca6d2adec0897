using System.Text.Json;
using Conclave.Workflows.Activities;
using Conclave.Workflows.Execution;
using Conclave.Workflows.Expressions;

namespace Conclave.Workflows.Definitions;

/// <summary>Compiles one definition, and the workflows it uses as activities, into a <see cref="WorkflowGraph"/>.</summary>
internal sealed class GraphCompiler(WorkflowDefinition definition, WorkflowEngine engine)
{
    private readonly List<ActivityNode> _nodes = new(16);
    private readonly List<DefinitionProblem> _problems = [];
    private HashSet<string> _workflowIds = [];
    private LogPersistence _logPersistence = LogPersistence.IncludeAll;
    private readonly List<WorkflowDefinition> _enclosing = [];
    private bool _isFatal;

    public WorkflowEngine Engine => engine;

    /// <summary>Set by expressions that read outputs of other activities.</summary>
    public bool KeepsOutputs { get; set; }

    public WorkflowGraph Compile()
    {
        CompileWorkflow(definition, parent: null);
        if (_isFatal)
            throw new WorkflowDefinitionException(_problems);
        return new WorkflowGraph(definition, [.. _nodes], _problems) { KeepsOutputs = KeepsOutputs };
    }

    /// <summary>Compiles a workflow under its synthetic root; null when it may not be nested here.</summary>
    public ActivityNode? CompileWorkflow(WorkflowDefinition workflow, ActivityNode? parent)
    {
        if (!MayNest(workflow, parent))
            return null;
        _enclosing.Add(workflow);
        var (outerIds, outerLogPersistence) = (_workflowIds, _logPersistence);
        _workflowIds = [];
        _logPersistence = LogPersistence.Read(default, workflow.CustomProperties);
        var type = engine.Catalog.Find("Elsa.Workflow")!;
        var activity = (Workflow)type.Create(out var outputs);
        var node = new ActivityNode("", type.Descriptor.TypeName, 1, activity, type.Descriptor, parent)
        {
            Definition = workflow,
            Outputs = outputs,
        };
        Add(node, "Root", id: null);
        DeclareVariables(node, workflow.Variables, parent is null ? [] : workflow.Inputs);
        activity.Root = CompileActivity(workflow.Root, node, "Root");
        _enclosing.RemoveAt(_enclosing.Count - 1);
        node.Id = NewWorkflowId();
        outerIds.UnionWith(_workflowIds);
        _workflowIds = outerIds;
        _logPersistence = outerLogPersistence;
        return node;
    }

    public ActivityNode? CompileActivity(JsonElement json, ActivityNode parent, string port)
    {
        if (json.ValueKind is JsonValueKind.Null or JsonValueKind.Undefined)
            return null;
        if (json.ValueKind != JsonValueKind.Object)
        {
            Fatal(new("definition.wrong_type", $"'{port}' must be an activity, not {WorkflowDefinitionReader.Kind(json)}.", parent.Id, port));
            return null;
        }

        if (_nodes.Count >= engine.Options.Limits.MaxActivities)
        {
            if (!_isFatal)
                Fatal(new("definition.too_many_activities", $"The workflow has more than {engine.Options.Limits.MaxActivities:N0} activities, workflows used as activities included."));
            return null;
        }

        // Compiling and running follow the nesting, so it must end long before the stack does.
        if (parent.Depth >= engine.Options.Limits.MaxActivityDepth)
        {
            if (!_isFatal)
                Fatal(new("definition.nested_too_deep", $"Activities are nested more than {engine.Options.Limits.MaxActivityDepth} levels deep, workflows used as activities included.", parent.Id));
            return null;
        }

        json = NotFoundActivity.Restore(json, engine);
        var typeName = json.TryGetProperty("type"u8, out var given) && given.ValueKind == JsonValueKind.String ? given.GetString()! : "";
        var id = json.TryGetProperty("id"u8, out given) && given.ValueKind == JsonValueKind.String ? given.GetString()! : "";
        if (id.Length == 0)
            id = NewChildId(parent, typeName);
        var version = json.TryGetProperty("version"u8, out given) && given.ValueKind == JsonValueKind.Number && given.TryGetInt32(out var number)
            ? number
            : 1;
        var type = engine.Catalog.Find(typeName, version);
        var workflow = type is null ? engine.Library.FindForActivity(json, typeName, version) : null;
        type ??= engine.Catalog.Find(workflow is null ? NotFoundActivity.TypeName : WorkflowDefinitionActivity.TypeName)!;
        var activity = type.Create(out var outputs);
        var node = new ActivityNode(id, typeName, version, activity, type.Descriptor, parent)
        {
            Definition = parent.Definition,
            Outputs = outputs,
            Json = json,
            Kind = type,
            LogPersistence = _logPersistence,
        };
        if (activity is WorkflowDefinitionActivity composite)
            composite.Target = workflow!;
        Add(node, port, id);
        Bind(node, type, json);
        return node;
    }

    public void Report(DefinitionProblem problem) => _problems.Add(problem);

    public void Fatal(DefinitionProblem problem)
    {
        _isFatal = true;
        _problems.Add(problem);
    }

    private void Bind(ActivityNode node, ActivityType type, JsonElement json)
    {
        // Variables first: children and inputs refer to them, wherever in the document they stand.
        if (json.TryGetProperty("variables"u8, out var variables))
            DeclareVariables(node, WorkflowDefinitionReader.ReadVariables(variables, "variables", _problems, node.Id), []);
        var configuration = new ActivityConfiguration(this, node);
        foreach (var property in json.EnumerateObject())
        {
            if (JsonShapes.TryFind(type.Members, property, out var member))
                member!.Bind(configuration, property.Value);
            else
                configuration.BindCommon(property);
        }

        node.Activity.Configure(configuration);
        configuration.Finish();
    }

    private bool MayNest(WorkflowDefinition workflow, ActivityNode? parent)
    {
        var index = _enclosing.FindIndex(w => w.DefinitionId == workflow.DefinitionId);
        if (index >= 0)
        {
            var path = string.Join(" → ", _enclosing.Skip(index).Append(workflow).Select(w => w.Name ?? w.DefinitionId));
            Fatal(new("definition.workflow_cycle", $"Workflows use each other as activities in a cycle: {path}. Use ExecuteWorkflow or DispatchWorkflow for recursion.", parent?.Id));
            return false;
        }

        if (_enclosing.Count > engine.Options.Limits.MaxWorkflowNesting)
        {
            Fatal(new("definition.nested_too_deep", $"Workflows are used as activities more than {engine.Options.Limits.MaxWorkflowNesting} levels deep.", parent?.Id));
            return false;
        }

        return true;
    }

    private void Add(ActivityNode node, string port, string? id)
    {
        node.Index = _nodes.Count;
        node.Port = port;
        if (id is { Length: > 0 })
        {
            if (node.Parent?.FindChild(id) is { } twin)
                Fatal(new("definition.duplicate_id", $"The id '{id}' is used by two activities inside {node.Parent}: {twin.Type} and {node.Type}.", id));
            if (id.StartsWith("Workflow", StringComparison.Ordinal))
                _workflowIds.Add(id);
        }

        _nodes.Add(node);
        node.Parent?.ChildList.Add(node);
    }

    /// <summary>An id for an embedded activity that has none, and whose form did not show it to the reader.</summary>
    private static string NewChildId(ActivityNode parent, string typeName)
    {
        for (var number = 1; ; number++)
        {
            var id = $"~{typeName[(typeName.LastIndexOf('.') + 1)..]}{number}";
            if (parent.FindChild(id) is null)
                return id;
        }
    }

    private string NewWorkflowId()
    {
        for (var number = 1; ; number++)
        {
            var id = number == 1 ? ActivityJson.WorkflowNodeId : $"Workflow{number}";
            if (_workflowIds.Add(id))
                return id;
        }
    }

    private void DeclareVariables(ActivityNode node, IReadOnlyList<VariableDefinition> variables, IReadOnlyList<InputDefinition> inputs)
    {
        if (variables.Count + inputs.Count == 0)
            return;
        var declared = new ScopeVariable[variables.Count + inputs.Count];
        for (var slot = 0; slot < variables.Count; slot++)
            declared[slot] = Declare(node, variables[slot], slot);
        for (var i = 0; i < inputs.Count; i++)
        {
            var slot = variables.Count + i;
            var input = inputs[i];
            var variable = new VariableDefinition($"input:{input.Name}", input.Name, input.Type, input.IsArray, input.DefaultValue, "WorkflowInstance");
            declared[slot] = Declare(node, variable, slot) with { IsInput = true };
        }

        node.Variables = declared;
        node.VariableDefaults = Array.ConvertAll(declared, v => v.Default);
    }

    private ScopeVariable Declare(ActivityNode node, VariableDefinition variable, int slot)
    {
        var type = TypeAliases.Resolve(variable.TypeName, variable.IsArray);
        if (!type.IsKnown)
            Report(new("variable.unknown_type", $"Variable '{variable.Name}' has the unknown type '{variable.TypeName}' and is kept as Object.", node.Id, "variables", ProblemSeverity.Warning));
        object? initial = null;
        try
        {
            var literal = ValueConverter.FromJson(variable.Value);
            initial = literal is "" && type.Clr != typeof(string) ? null : ValueConverter.Convert(literal, type);
        }
        catch (ValueConversionException exception)
        {
            Report(new("variable.bad_default", $"The default of variable '{variable.Name}' does not fit its type: {exception.Message}", node.Id, "variables"));
        }

        if (initial is null && type is { IsList: false, Clr.IsValueType: true } && type.Clr != typeof(JsonElement))
            initial = type.Clr == typeof(bool) ? ValueConverter.Box(false) : Activator.CreateInstance(type.Clr);
        return new ScopeVariable(variable, node, slot, type, initial);
    }
}
