using System.Buffers;
using System.Globalization;

namespace Conclave.Workflows.Http;

/// <summary>A parameter of a path: <c>{id}</c>, <c>{id:int}</c>, <c>{id?}</c>, <c>{id=5}</c> or <c>{*rest}</c>.</summary>
internal sealed class HttpPathParameter
{
    private const string Known = "int, long, guid and bool";

    private static readonly SearchValues<char> NotInNames = SearchValues.Create("{*?#\\ ");

    private readonly string _text;
    private readonly string[] _constraints;

    private HttpPathParameter(string text, string name, string[] constraints, bool isOptional, bool isCatchAll, string? value)
    {
        _text = text;
        _constraints = constraints;
        Name = name;
        IsOptional = isOptional;
        IsCatchAll = isCatchAll;
        Default = value;
        Key = isCatchAll ? "{*}" : constraints.Length == 0 ? "{}" : $"{{:{string.Join(':', constraints)}}}";
        Rank = constraints.Length == 0 ? 9 : constraints.Min(Narrowness);
    }

    public string Name { get; }

    /// <summary>The parameter without its name.</summary>
    public string Key { get; }

    /// <summary>Whether a request may end before this parameter, as it may before a catch-all.</summary>
    public bool IsOptional { get; }

    /// <summary>Whether the parameter takes the rest of the path.</summary>
    public bool IsCatchAll { get; }

    /// <summary>Value when the request ends before; null for none.</summary>
    public string? Default { get; }

    /// <summary>Lower for narrower constraints.</summary>
    public int Rank { get; }

    /// <summary>Reads a parameter with its braces; null when it has a problem.</summary>
    public static HttpPathParameter? Parse(string token, string place, HashSet<string> names, out string? problem)
    {
        problem = null;
        var inner = token[1..^1];
        var isCatchAll = inner.StartsWith('*');
        var rest = isCatchAll ? inner.TrimStart('*') : inner;
        var isOptional = rest.EndsWith('?');
        rest = isOptional ? rest[..^1] : rest;
        var equals = rest.IndexOf('=', StringComparison.Ordinal);
        var value = equals < 0 ? null : rest[(equals + 1)..];
        var parts = (equals < 0 ? rest : rest[..equals]).Split(':');
        var (name, constraints) = (parts[0], parts[1..]);
        if (name.Length == 0 || name.AsSpan().ContainsAny(NotInNames) || !names.Add(name))
            problem = $"{place} has a parameter without a name, or the same one twice.";
        else if (Array.Find(constraints, c => Narrowness(c) == 0) is { } unknown)
            problem = $"{place} has the constraint '{unknown}' in {token}, which is not known. Use {Known}, or leave it out and check the value in the workflow.";
        else if (isCatchAll && (constraints.Length > 0 || isOptional || value is not null))
            problem = $"{place} has {token}, but what takes the rest of the path can have no constraint or default.";
        else if (isOptional && value is not null)
            problem = $"{place} has {token}, which cannot be optional with a default. Remove the question mark.";
        var parameter = new HttpPathParameter(token, name, constraints, isOptional || isCatchAll || value is not null, isCatchAll, value);
        if (problem is null && value is not null && !parameter.Accepts(value))
            problem = $"{place} has {token}, whose default does not meet its own constraint.";
        return problem is null ? parameter : null;
    }

    /// <summary>Whether a value meets the constraints.</summary>
    public bool Accepts(ReadOnlySpan<char> value)
    {
        foreach (var constraint in _constraints)
        {
            var isMet = constraint switch
            {
                "int" => int.TryParse(value, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out _),
                "long" => long.TryParse(value, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out _),
                "guid" => Guid.TryParseExact(value, "D", out _) || Guid.TryParseExact(value, "N", out _),
                _ => value.Equals("true", StringComparison.OrdinalIgnoreCase) || value.Equals("false", StringComparison.OrdinalIgnoreCase),
            };
            if (!isMet)
                return false;
        }

        return true;
    }

    public override string ToString() => _text;

    /// <summary>Order of constraints by how little they accept; 0 for an unknown one.</summary>
    private static int Narrowness(string constraint) => constraint switch
    {
        "bool" => 1,
        "guid" => 2,
        "int" => 3,
        "long" => 4,
        _ => 0,
    };
}
