using System.Reflection;
using System.Runtime.CompilerServices;
using System.Text;
using System.Text.Json;
using System.Text.Json.Serialization.Metadata;
using Conclave.Agents;
using Conclave.Agents.Tools;
using Conclave.Inference.Gateway;
using Conclave.Inference.Pool;
using Conclave.Inference.Routing;

namespace Conclave.Tests.Inference;

/// <summary>Records that are read from JSON: generated code sets what the JSON leaves out to null or 0, unless the record sees to it.</summary>
public sealed class StoredJsonTests
{
    private static readonly JsonSerializerOptions[] Options = [PoolJson.Default.Options, RoutingJson.Default.Options, GatewayJson.Default.Options, ToolJson.Default.Options, AgentJson.Default.Options];

    public static TheoryData<Type> Records
    {
        get
        {
            var found = new HashSet<Type>();
            foreach (var options in Options)
            {
                foreach (var property in options.TypeInfoResolver!.GetType().GetProperties().Where(p => p.PropertyType.IsGenericType && p.PropertyType.GetGenericTypeDefinition() == typeof(JsonTypeInfo<>)))
                    found.Add(property.PropertyType.GetGenericArguments()[0]);
            }

            // With a constructor of their own they say by its parameters what is missing.
            return [.. found.Where(t => t is { IsClass: true, Namespace: { } space } && space.StartsWith("Conclave", StringComparison.Ordinal) && t.GetConstructor(Type.EmptyTypes) is not null)];
        }
    }

    [Theory]
    [MemberData(nameof(Records))]
    public void Read_JsonWithWhatIsRequiredOnly_RestHasItsDefaults(Type type)
    {
        var options = Array.Find(Options, o => o.TypeInfoResolver!.GetTypeInfo(type, o) is not null)!;
        var required = type.GetProperties().Where(p => p.IsDefined(typeof(RequiredMemberAttribute))).ToList();
        var json = new StringBuilder("{");
        foreach (var property in required)
            json.Append(json.Length > 1 ? "," : "").Append('"').Append(JsonNamingPolicy.CamelCase.ConvertName(property.Name)).Append("\":").Append(Sample(property.PropertyType));
        var expected = Activator.CreateInstance(type)!;

        var actual = JsonSerializer.Deserialize(json.Append('}').ToString(), options.GetTypeInfo(type))!;

        foreach (var property in type.GetProperties(BindingFlags.Public | BindingFlags.Instance).Where(p => p.CanWrite).Except(required))
            Assert.Equivalent(property.GetValue(expected), property.GetValue(actual));
    }

    private static string Sample(Type type) => type switch
    {
        _ when type == typeof(string) || type == typeof(Uri) => "\"x\"",
        _ when type == typeof(bool) => "false",
        { IsEnum: true } => $"\"{JsonNamingPolicy.CamelCase.ConvertName(Enum.GetNames(type)[0])}\"",
        { IsPrimitive: true } => "0",
        _ when type == typeof(JsonElement) => "{}",
        _ when typeof(System.Collections.IEnumerable).IsAssignableFrom(type) && !type.Name.Contains("Dictionary", StringComparison.Ordinal) => "[]",
        _ => "{}",
    };
}
