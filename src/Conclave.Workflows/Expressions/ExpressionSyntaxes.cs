using System.Collections.Frozen;

namespace Conclave.Workflows.Expressions;

/// <summary>The expression syntaxes that an engine knows. Immutable; add one with <see cref="With"/>.</summary>
public sealed class ExpressionSyntaxes
{
    private readonly FrozenDictionary<string, IExpressionSyntax> _byType;

    private ExpressionSyntaxes(IEnumerable<IExpressionSyntax> syntaxes)
    {
        _byType = syntaxes.ToFrozenDictionary(s => s.Type, StringComparer.OrdinalIgnoreCase);
        Types = [.. _byType.Keys.Order(StringComparer.Ordinal)];
        Descriptors =
        [
            .. _byType.Values.Select(s => s.Descriptor).OfType<ExpressionDescriptor>()
                .OrderBy(d => d.Order).ThenBy(d => d.Type, StringComparer.Ordinal),
        ];
    }

    /// <summary>Literal, Object, Json, Variable, Input, Output; scripts need a runner and are added by the host.</summary>
    public static ExpressionSyntaxes BuiltIn { get; } = new(
    [
        new LiteralSyntax(),
        new ObjectSyntax("Object"),
        new ObjectSyntax("Json"),
        new VariableSyntax(),
        new InputSyntax(),
        new OutputSyntax(),
        new UnavailableSyntax("JavaScript", "Scripts need a script runner; create the engine with one."),
        new UnavailableSyntax("Liquid", "Templates need a script runner; create the engine with one."),
        new UnavailableSyntax("CSharp", "C# expressions are off, because they run with the rights of the server. An administrator can turn them on (AllowCSharp); JavaScript needs no permission."),
        new UnavailableSyntax("Python", "Python expressions are not supported. Use JavaScript."),
        new UnavailableSyntax("Secret", "This host keeps no secrets."),
    ]);

    /// <summary>Names of all syntaxes.</summary>
    public IReadOnlyList<string> Types { get; }

    /// <summary>What designers offer: the syntaxes that this engine can evaluate.</summary>
    public IReadOnlyList<ExpressionDescriptor> Descriptors { get; }

    /// <summary>The same syntaxes with others added or replaced.</summary>
    public ExpressionSyntaxes With(params IEnumerable<IExpressionSyntax> syntaxes)
    {
        var merged = _byType.ToDictionary(StringComparer.OrdinalIgnoreCase);
        foreach (var syntax in syntaxes)
            merged[syntax.Type] = syntax;
        return new ExpressionSyntaxes(merged.Values);
    }

    /// <summary>Finds a syntax by name, whatever its case; null when there is none.</summary>
    public IExpressionSyntax? Find(string type) => _byType.GetValueOrDefault(type);
}
