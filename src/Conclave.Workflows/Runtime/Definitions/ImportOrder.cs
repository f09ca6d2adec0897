using System.Text.Json;
using Conclave.Workflows.Definitions;

namespace Conclave.Workflows.Runtime.Definitions;

/// <summary>The order in which workflows of a package are imported: those that others use come first.</summary>
internal static class ImportOrder
{
    /// <summary>Places of the definitions in an order that suits; the given order where nothing speaks against it.</summary>
    /// <remarks>
    /// Workflows that use each other in a circle come in the given order; compiling them judges whether they may.
    /// </remarks>
    public static List<int> Of(IReadOnlyList<WorkflowDefinition> definitions)
    {
        var names = new Names(definitions);
        var users = new List<int>[definitions.Count];
        var waitsFor = new int[definitions.Count];
        for (var i = 0; i < definitions.Count; i++)
            users[i] = [];
        for (var i = 0; i < definitions.Count; i++)
        {
            var uses = new HashSet<int>();
            names.Collect(definitions[i].Root, uses);
            uses.Remove(i);
            waitsFor[i] = uses.Count;
            foreach (var used in uses)
                users[used].Add(i);
        }

        var order = new List<int>(definitions.Count);
        var placed = new bool[definitions.Count];
        var ready = new PriorityQueue<int, int>();
        for (var i = 0; i < definitions.Count; i++)
        {
            if (waitsFor[i] == 0)
                ready.Enqueue(i, i);
        }

        for (var first = 0; order.Count < definitions.Count;)
        {
            if (!ready.TryDequeue(out var next, out _))
            {
                // Only circles are left: one of them has to begin.
                while (placed[first])
                    first++;
                next = first;
            }

            if (placed[next])
                continue;
            placed[next] = true;
            order.Add(next);
            foreach (var user in users[next])
            {
                if (--waitsFor[user] == 0 && !placed[user])
                    ready.Enqueue(user, user);
            }
        }

        return order;
    }

    /// <summary>What a definition may be called by those that use it.</summary>
    private sealed class Names
    {
        private readonly Dictionary<string, int> _ids = new(StringComparer.Ordinal);
        private readonly Dictionary<string, int> _types = new(StringComparer.Ordinal);

        public Names(IReadOnlyList<WorkflowDefinition> definitions)
        {
            for (var i = 0; i < definitions.Count; i++)
            {
                _ids.TryAdd(definitions[i].DefinitionId, i);
                _ids.TryAdd(definitions[i].Id, i);
                if (definitions[i].Options.UsableAsActivity == true)
                    _types.TryAdd(definitions[i].ActivityTypeName, i);
            }
        }

        public void Collect(JsonElement element, HashSet<int> uses)
        {
            if (element.ValueKind == JsonValueKind.Array)
            {
                foreach (var item in element.EnumerateArray())
                    Collect(item, uses);
                return;
            }

            if (element.ValueKind != JsonValueKind.Object)
                return;
            foreach (var property in element.EnumerateObject())
            {
                var value = property.Value;
                if (property.NameEquals("type"u8) && value.ValueKind == JsonValueKind.String)
                    Add(_types, value, uses);
                else if (property.Name.Equals("workflowDefinitionId", StringComparison.OrdinalIgnoreCase)
                    || property.Name.Equals("workflowDefinitionVersionId", StringComparison.OrdinalIgnoreCase))
                    CollectIds(value, uses);
                else
                    Collect(value, uses);
            }
        }

        // A plain id, or an input with an expression: { expression: { type: "Literal", value: "id" } }.
        private void CollectIds(JsonElement value, HashSet<int> uses)
        {
            if (value.ValueKind == JsonValueKind.String)
                Add(_ids, value, uses);
            else if (JsonShapes.TryGet(value, "expression", out var expression))
                CollectIds(expression, uses);
            else if (JsonShapes.TryGet(value, "value", out var inner))
                CollectIds(inner, uses);
        }

        private static void Add(Dictionary<string, int> names, JsonElement name, HashSet<int> uses)
        {
            if (names.TryGetValue(name.GetString()!, out var used))
                uses.Add(used);
        }
    }
}
