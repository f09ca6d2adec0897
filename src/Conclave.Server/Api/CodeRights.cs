using System.Text.Json;
using Conclave.Server.Accounts;
using Conclave.Workflows.Definitions;
using Conclave.Workflows.Runtime.Definitions;

namespace Conclave.Server.Api;

/// <summary>C# in workflows runs with the rights of the server: where it is on, only those may bring it in who have the right.</summary>
internal static class CodeRights
{
    /// <summary>Throws when a definition has C# and the caller may not write it. Where C# is off, validation says so to everybody.</summary>
    /// <exception cref="ApiException">The right is missing.</exception>
    public static void Demand(HttpContext context, WorkflowDefinition definition)
    {
        var isOn = context.Runtime().Catalog.Of(context.Tenant()).Engine.Options.AllowCSharp;
        if (isOn && !context.User.Has(Permissions.ExecuteCSharp) && HasCSharp(definition.Root))
            context.Demand(Permissions.ExecuteCSharp);
    }

    /// <summary>The same for each definition of a package.</summary>
    /// <exception cref="ApiException">The right is missing.</exception>
    public static void Demand(HttpContext context, IReadOnlyList<PackagedDefinition> package)
    {
        foreach (var packaged in package)
        {
            if (packaged.Definition is { } definition)
                Demand(context, definition);
        }
    }

    /// <summary>Whether JSON has a C# expression or activity anywhere.</summary>
    internal static bool HasCSharp(JsonElement json) => json.ValueKind switch
    {
        JsonValueKind.Object => json.EnumerateObject().Any(member => IsCSharp(member) || HasCSharp(member.Value)),
        JsonValueKind.Array => json.EnumerateArray().Any(HasCSharp),
        _ => false,
    };

    private static bool IsCSharp(JsonProperty member) =>
        member.Name.Equals("type", StringComparison.OrdinalIgnoreCase)
        && member.Value.ValueKind == JsonValueKind.String
        && member.Value.GetString() is { } type
        && (type.Equals("CSharp", StringComparison.OrdinalIgnoreCase) || type.Equals("Elsa.RunCSharp", StringComparison.OrdinalIgnoreCase));
}
