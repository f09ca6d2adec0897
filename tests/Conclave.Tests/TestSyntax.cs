using System.Globalization;
using System.Text.RegularExpressions;
using Conclave.Workflows.Execution;
using Conclave.Workflows.Expressions;

namespace Conclave.Tests;

/// <summary>
/// Expressions without a script runner: <c>i&lt;3</c>, <c>i=3</c>, <c>i+1</c>, <c>i%3=0</c> on numeric variables,
/// <c>++i&lt;3</c> that counts the variable up first,
/// <c>$name</c> for a variable's value, <c>throw text</c>, <c>true</c> and <c>false</c>.
/// </summary>
internal sealed partial class TestSyntax : IExpressionSyntax
{
    public string Type => "Test";

    public CompiledExpression Compile(ExpressionSource source) => new TestExpression(source.Value.GetString()!);

    [GeneratedRegex(@"^(\+\+)?(\w+)([<=+%])(-?\d+)(?:=(\d+))?$")]
    private static partial Regex Form { get; }

    private sealed class TestExpression(string text) : Expression
    {
        public override ValueTask<object?> EvaluateAsync(ActivityContext context) => new(Evaluate(context));

        private object? Evaluate(ActivityContext context)
        {
            if (text is "true" or "false")
                return text == "true";
            if (text.StartsWith('$'))
                return context.GetVariable(text[1..]);
            if (text.StartsWith("throw ", StringComparison.Ordinal))
                throw new InvalidOperationException(text[6..]);
            var form = Form.Match(text);
            if (!form.Success)
                throw new ExpressionException("test.syntax", text);
            var name = form.Groups[2].Value;
            var value = ValueConverter.Convert<int>(context.GetVariable(name));
            if (form.Groups[1].Success)
                context.SetVariable(name, ++value);
            var operand = int.Parse(form.Groups[4].ValueSpan, CultureInfo.InvariantCulture);
            return form.Groups[3].Value switch
            {
                "<" => value < operand,
                "=" => value == operand,
                "+" => value + operand,
                _ => value % operand == int.Parse(form.Groups[5].ValueSpan, CultureInfo.InvariantCulture),
            };
        }
    }
}
