using System.Globalization;

namespace Conclave.Agents.Tools.BuiltIn;

/// <summary>Evaluates arithmetic: numbers, <c>+ - * / % ^</c>, brackets, and a few functions and constants. Nothing else is understood.</summary>
internal ref struct Calculator
{
    private const int Deepest = 64;

    private static readonly Dictionary<string, Func<double, double>> Functions = new(StringComparer.OrdinalIgnoreCase)
    {
        ["abs"] = Math.Abs,
        ["ceil"] = Math.Ceiling,
        ["floor"] = Math.Floor,
        ["round"] = v => Math.Round(v, MidpointRounding.AwayFromZero),
        ["trunc"] = Math.Truncate,
        ["sqrt"] = Math.Sqrt,
        ["cbrt"] = Math.Cbrt,
        ["exp"] = Math.Exp,
        ["ln"] = Math.Log,
        ["log"] = Math.Log10,
        ["log2"] = Math.Log2,
        ["sign"] = v => Math.Sign(v),
        ["sin"] = Math.Sin,
        ["cos"] = Math.Cos,
        ["tan"] = Math.Tan,
        ["asin"] = Math.Asin,
        ["acos"] = Math.Acos,
        ["atan"] = Math.Atan,
    };

    private readonly ReadOnlySpan<char> _text;
    private int _at;
    private int _depth;

    private Calculator(ReadOnlySpan<char> text) => _text = text;

    /// <summary>The value of an expression.</summary>
    /// <exception cref="ToolException">It is none; the message names the place.</exception>
    public static double Evaluate(string expression)
    {
        var calculator = new Calculator(expression);
        var value = calculator.Sum();
        calculator.SkipSpace();
        if (calculator._at < expression.Length)
            throw calculator.Wrong($"'{expression[calculator._at]}' is not expected");
        return double.IsFinite(value) ? value : throw new ToolException("tool.arithmetic", $"'{expression}' has no finite value.");
    }

    private double Sum()
    {
        var value = Product();
        while (true)
        {
            if (Take('+'))
                value += Product();
            else if (Take('-'))
                value -= Product();
            else
                return value;
        }
    }

    private double Product()
    {
        var value = Signed();
        while (true)
        {
            if (Take('*') || Take('×'))
                value *= Signed();
            else if (Take('/') || Take('÷'))
                value /= Divisor();
            else if (Take('%'))
                value %= Divisor();
            else
                return value;
        }
    }

    private double Divisor() => Signed() is var divisor && divisor != 0 ? divisor : throw Wrong("it divides by zero");

    private double Signed() => Deeper() && Take('-') ? Leave(-Signed()) : Take('+') ? Leave(Signed()) : Leave(Power());

    // To the right first, as in mathematics: 2^3^2 is 2^9.
    private double Power()
    {
        var value = Single();
        return Take('^') ? Math.Pow(value, Signed()) : value;
    }

    private double Single()
    {
        SkipSpace();
        if (Take('('))
        {
            var inner = Sum();
            return Take(')') ? inner : throw Wrong("a ')' is missing");
        }

        var start = _at;
        if (_at < _text.Length && char.IsAsciiLetter(_text[_at]))
        {
            while (_at < _text.Length && char.IsAsciiLetterOrDigit(_text[_at]))
                _at++;
            var name = _text[start.._at].ToString();
            if (name.Equals("pi", StringComparison.OrdinalIgnoreCase))
                return Math.PI;
            if (name.Equals("e", StringComparison.OrdinalIgnoreCase))
                return Math.E;
            if (!Functions.TryGetValue(name, out var function))
                throw Wrong($"'{name}' is not known; there are {string.Join(", ", Functions.Keys)}, pi and e");
            if (!Take('('))
                throw Wrong($"'{name}' needs its value in brackets");
            var argument = Sum();
            return Take(')') ? function(argument) : throw Wrong("a ')' is missing");
        }

        while (_at < _text.Length && (char.IsAsciiDigit(_text[_at]) || _text[_at] == '.' || (_text[_at] is 'e' or 'E' && _at > start)
            || (_text[_at] is '+' or '-' && _at > start && _text[_at - 1] is 'e' or 'E')))
            _at++;
        return double.TryParse(_text[start.._at], NumberStyles.AllowDecimalPoint | NumberStyles.AllowExponent, CultureInfo.InvariantCulture, out var number)
            ? number : throw Wrong("a number is missing");
    }

    private bool Deeper() => ++_depth <= Deepest ? true : throw Wrong($"it is nested deeper than {Deepest} levels");

    private double Leave(double value)
    {
        _depth--;
        return value;
    }

    private bool Take(char c)
    {
        SkipSpace();
        if (_at >= _text.Length || _text[_at] != c)
            return false;
        _at++;
        return true;
    }

    private void SkipSpace()
    {
        while (_at < _text.Length && char.IsWhiteSpace(_text[_at]))
            _at++;
    }

    private readonly ToolException Wrong(string problem) =>
        new("tool.arithmetic", string.Create(CultureInfo.InvariantCulture, $"The expression cannot be evaluated: {problem} (at character {_at + 1})."));
}
