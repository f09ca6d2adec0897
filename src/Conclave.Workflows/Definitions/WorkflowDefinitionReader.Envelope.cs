using System.Collections.Frozen;
using System.Text.Json;

namespace Conclave.Workflows.Definitions;

public static partial class WorkflowDefinitionReader
{
    /// <summary>Collects the members of a definition and every problem with them.</summary>
    private sealed class Envelope
    {
        private static readonly FrozenSet<string> OptionMembers = Names(
            "activationStrategyType", "usableAsActivity", "autoUpdateConsumingWorkflows", "activityCategory", "incidentStrategyType", "commitStrategyName", "_type");

        private static readonly FrozenSet<string> ArgumentMembers = Names(
            "name", "type", "isArray", "displayName", "description", "category", "uiHint", "storageDriverType", "defaultValue", "_type");

        private readonly List<DefinitionProblem> _problems = [];
        private string? _id, _definitionId, _name, _description, _toolVersion;
        private DateTimeOffset? _createdAt;
        private int _version = 1;
        private List<VariableDefinition> _variables = [];
        private readonly List<InputDefinition> _inputs = [];
        private readonly List<OutputDefinition> _outputs = [];
        private readonly List<string> _outcomes = [];
        private JsonElement _customProperties, _root;
        private bool _isReadonly, _isSystem, _isLatest, _isPublished;
        private bool? _usableAsActivity;
        private WorkflowOptions _options = new();

        public List<KeyValuePair<string, JsonElement>>? Extra { get; set; }

        public void Set(Member member, JsonElement value)
        {
            if (value.ValueKind == JsonValueKind.Null)
                return;
            switch (member)
            {
                case Member.Id: _id = Text(value, "id"); break;
                case Member.DefinitionId: _definitionId = Text(value, "definitionId"); break;
                case Member.Name: _name = Text(value, "name"); break;
                case Member.Description: _description = Text(value, "description"); break;
                case Member.CreatedAt: _createdAt = Date(value); break;
                case Member.Version: _version = Number(value); break;
                case Member.ToolVersion: _toolVersion = Text(value, "toolVersion"); break;
                case Member.Variables: _variables = ReadVariables(value, "variables", _problems); break;
                case Member.Inputs: ReadInputs(value); break;
                case Member.Outputs: ReadOutputs(value); break;
                case Member.Outcomes: ReadOutcomes(value); break;
                case Member.CustomProperties: _customProperties = Object(value, "customProperties"); break;
                case Member.IsReadonly: _isReadonly = Flag(value, "isReadonly"); break;
                case Member.IsSystem: _isSystem = Flag(value, "isSystem"); break;
                case Member.IsLatest: _isLatest = Flag(value, "isLatest"); break;
                case Member.IsPublished: _isPublished = Flag(value, "isPublished"); break;
                case Member.Options: _options = ReadOptions(Object(value, "options")); break;
                case Member.UsableAsActivity: _usableAsActivity = Flag(value, "usableAsActivity"); break;
                case Member.Root: _root = Object(value, "root"); break;
                case Member.Schema or Member.Links: break;
            }
        }

        public WorkflowDefinition Build()
        {
            if (_root.ValueKind == JsonValueKind.Undefined && !_problems.Exists(p => p.Property == "root"))
                _root = EmptyRoot;
            if (_root.ValueKind == JsonValueKind.Object && JsonShapes.GetString(_root, "type") is null)
                Problem("definition.root_without_type", "The root activity has no 'type', for example \"Elsa.Flowchart\".", "root");
            if (JsonShapes.GetString(_root, "type") is null)
                throw new WorkflowDefinitionException(_problems);
            var definition = new WorkflowDefinition
            {
                Id = string.IsNullOrWhiteSpace(_id) ? NewId() : _id,
                DefinitionId = string.IsNullOrWhiteSpace(_definitionId) ? NewId() : _definitionId,
                Name = _name?.Trim(),
                Description = _description?.Trim(),
                CreatedAt = _createdAt,
                Version = Math.Max(1, _version),
                ToolVersion = _toolVersion,
                Variables = _variables,
                Inputs = _inputs,
                Outputs = _outputs,
                Outcomes = _outcomes,
                CustomProperties = _customProperties,
                IsReadonly = _isReadonly,
                IsSystem = _isSystem,
                IsLatest = _isLatest,
                IsPublished = _isPublished,
                Options = _options.UsableAsActivity is null && _usableAsActivity is not null
                    ? _options with { UsableAsActivity = _usableAsActivity }
                    : _options,
                Root = ActivityJson.WithIds(_root),
                Extra = Extra ?? [],
            };
            return _problems.Count == 0 ? definition : throw new WorkflowDefinitionException(_problems) { Readable = definition };
        }

        private static JsonElement EmptyRoot { get; } =
            JsonElement.Parse("""{"type":"Elsa.Sequence","version":1,"id":"Sequence1","activities":[]}"""u8);

        private static WorkflowOptions ReadOptions(JsonElement options) => options.ValueKind != JsonValueKind.Object
            ? new WorkflowOptions()
            : new WorkflowOptions
            {
                ActivationStrategyType = JsonShapes.GetString(options, "activationStrategyType"),
                UsableAsActivity = JsonShapes.GetBoolean(options, "usableAsActivity"),
                AutoUpdateConsumingWorkflows = JsonShapes.GetBoolean(options, "autoUpdateConsumingWorkflows") ?? false,
                ActivityCategory = JsonShapes.GetString(options, "activityCategory"),
                IncidentStrategyType = JsonShapes.GetString(options, "incidentStrategyType"),
                CommitStrategyName = JsonShapes.GetString(options, "commitStrategyName"),
                Extra = JsonShapes.Others(options, OptionMembers),
            };

        private void ReadInputs(JsonElement value)
        {
            foreach (var item in Array(value, "inputs"))
            {
                if (Name(item, "inputs") is not { } name)
                    continue;
                _inputs.Add(WithCommonMembers(item, new InputDefinition
                {
                    Name = name,
                    UIHint = JsonShapes.GetString(item, "uiHint"),
                    StorageDriverType = JsonShapes.GetString(item, "storageDriverType"),
                    DefaultValue = JsonShapes.TryGet(item, "defaultValue", out var defaultValue) ? defaultValue : default,
                }));
            }
        }

        private void ReadOutputs(JsonElement value)
        {
            foreach (var item in Array(value, "outputs"))
            {
                if (Name(item, "outputs") is { } name)
                    _outputs.Add(WithCommonMembers(item, new OutputDefinition { Name = name }));
            }
        }

        private static T WithCommonMembers<T>(JsonElement item, T argument) where T : ArgumentDefinition => argument with
        {
            Type = JsonShapes.GetString(item, "type") ?? "Object",
            IsArray = JsonShapes.GetBoolean(item, "isArray") ?? false,
            DisplayName = JsonShapes.GetString(item, "displayName"),
            Description = JsonShapes.GetString(item, "description"),
            Category = JsonShapes.GetString(item, "category"),
            Extra = JsonShapes.Others(item, ArgumentMembers),
        };

        private void ReadOutcomes(JsonElement value)
        {
            foreach (var item in Array(value, "outcomes"))
            {
                if (item.ValueKind == JsonValueKind.String)
                    _outcomes.Add(item.GetString()!);
                else
                    Problem("definition.wrong_type", "Outcomes are a list of strings.", "outcomes");
            }
        }

        private JsonElement.ArrayEnumerator Array(JsonElement value, string property)
        {
            if (JsonShapes.Unwrap(value).ValueKind != JsonValueKind.Array)
                Problem("definition.wrong_type", $"'{property}' must be a list, not {Kind(value)}.", property);
            return JsonShapes.Items(value);
        }

        private string? Name(JsonElement item, string property)
        {
            var name = JsonShapes.GetString(item, "name");
            if (string.IsNullOrWhiteSpace(name))
            {
                Problem("definition.missing_name", $"Every entry of '{property}' needs a 'name'.", property);
                return null;
            }

            return name;
        }

        private string? Text(JsonElement value, string property)
        {
            if (value.ValueKind == JsonValueKind.String)
                return value.GetString();
            Problem("definition.wrong_type", $"'{property}' must be a string, not {Kind(value)}.", property);
            return null;
        }

        private bool Flag(JsonElement value, string property)
        {
            if (JsonShapes.AsBoolean(value) is { } flag)
                return flag;
            Problem("definition.wrong_type", $"'{property}' must be true or false, not {Kind(value)}.", property);
            return false;
        }

        private int Number(JsonElement value)
        {
            if (value.ValueKind == JsonValueKind.Number && value.TryGetInt32(out var number))
                return number;
            Problem("definition.wrong_type", $"'version' must be a whole number up to {int.MaxValue:N0}.", "version");
            return 1;
        }

        private DateTimeOffset? Date(JsonElement value)
        {
            if (value.ValueKind == JsonValueKind.String && value.TryGetDateTimeOffset(out var date))
                return date;
            Problem("definition.wrong_type", "'createdAt' must be a date such as \"2026-01-15T09:00:00Z\".", "createdAt");
            return null;
        }

        private JsonElement Object(JsonElement value, string property)
        {
            if (value.ValueKind == JsonValueKind.Object)
                return value;
            Problem("definition.wrong_type", $"'{property}' must be an object, not {Kind(value)}.", property);
            return default;
        }

        private void Problem(string code, string message, string property) =>
            _problems.Add(new DefinitionProblem(code, message, Property: property));
    }
}
