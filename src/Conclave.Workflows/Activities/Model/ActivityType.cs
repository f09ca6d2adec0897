using System.Collections.Frozen;
using System.Reflection;
using System.Text;
using System.Text.Json;

namespace Conclave.Workflows.Activities;

/// <summary>An activity class with everything that loading needs, worked out from its attributes once.</summary>
public sealed class ActivityType
{
    private readonly Func<Activity> _create;

    private ActivityType(Func<Activity> create, ActivityDescriptor descriptor, ActivityMember[] members)
    {
        _create = create;
        Descriptor = descriptor;
        Inputs = members.OfType<InputMember>().ToArray();
        Outputs = members.OfType<OutputMember>().ToArray();
        for (var i = 0; i < Outputs.Length; i++)
            Outputs[i].Index = i;
        Members = members.ToFrozenDictionary(m => m.Name, StringComparer.OrdinalIgnoreCase).GetAlternateLookup<ReadOnlySpan<char>>();
    }

    /// <summary>What authors see.</summary>
    public ActivityDescriptor Descriptor { get; }

    internal InputMember[] Inputs { get; }

    internal OutputMember[] Outputs { get; }

    internal FrozenDictionary<string, ActivityMember>.AlternateLookup<ReadOnlySpan<char>> Members { get; }

    /// <summary>Reads an activity class.</summary>
    /// <exception cref="ArgumentException">The class has no <see cref="ActivityAttribute"/>.</exception>
    public static ActivityType From<T>() where T : Activity, new() => Reader<T>.Read();

    /// <summary>Reads an activity class that is known only at run time.</summary>
    /// <exception cref="ArgumentException">The class has no <see cref="ActivityAttribute"/> or no public constructor without parameters.</exception>
    public static ActivityType From(Type type)
    {
        var from = typeof(ActivityType).GetMethod(nameof(From), 1, BindingFlags.Public | BindingFlags.Static, [])!;
        return (ActivityType)from.MakeGenericMethod(type).Invoke(null, null)!;
    }

    /// <summary>A new activity with its outputs attached.</summary>
    internal Activity Create(out Output[] outputs)
    {
        var activity = _create();
        outputs = Outputs.Length == 0 ? [] : new Output[Outputs.Length];
        for (var i = 0; i < outputs.Length; i++)
            outputs[i] = Outputs[i].Attach(activity);
        return activity;
    }

    /// <summary>Splits a Pascal-cased name into words.</summary>
    internal static string Words(string name)
    {
        var words = new StringBuilder(name.Length + 4);
        for (var i = 0; i < name.Length; i++)
        {
            var startsWord = i > 0 && char.IsUpper(name[i])
                && (!char.IsUpper(name[i - 1]) || (i + 1 < name.Length && char.IsLower(name[i + 1])));
            if (startsWord)
                words.Append(' ').Append(i + 1 < name.Length && char.IsUpper(name[i + 1]) ? name[i] : char.ToLowerInvariant(name[i]));
            else
                words.Append(name[i]);
        }

        return words.ToString();
    }

    /// <summary>The alias that definitions and designers use for a CLR type.</summary>
    internal static string Alias(Type type)
    {
        var underlying = Nullable.GetUnderlyingType(type) ?? type;
        if (underlying == typeof(JsonElement))
            return "JsonElement";
        if (underlying == typeof(byte[]))
            return "ByteArray";
        if (underlying.IsGenericType && underlying.GetGenericTypeDefinition() == typeof(IReadOnlyList<>))
            return $"List<{Alias(underlying.GetGenericArguments()[0])}>";
        if (underlying == typeof(IReadOnlyDictionary<string, string>))
            return "StringDictionary";
        if (underlying == typeof(IReadOnlyDictionary<string, object?>))
            return "ObjectDictionary";
        return underlying == type ? type.Name : $"{underlying.Name}?";
    }

    private static class Reader<TActivity> where TActivity : Activity, new()
    {
        private const BindingFlags Instance = BindingFlags.Public | BindingFlags.Instance;

        public static ActivityType Read()
        {
            var type = typeof(TActivity);
            var attribute = type.GetCustomAttribute<ActivityAttribute>()
                ?? throw new ArgumentException($"{type} has no [Activity] attribute.");
            var name = attribute.Type ?? type.Name;
            var sample = new TActivity();
            var members = new List<ActivityMember>();
            var inputs = new List<InputDescriptor>();
            var outputs = new List<OutputDescriptor>();
            var ports = new List<PortDescriptor>();
            foreach (var property in type.GetProperties(Instance).OrderBy(p => p.MetadataToken))
            {
                if (property.GetCustomAttribute<InputAttribute>() is { } input)
                {
                    var member = InputMember(property, input);
                    if (member is not null)
                        members.Add(member);
                    var literal = member is InputMember wrapped ? wrapped.Get(sample)?.LiteralValue : member is null ? null : property.GetValue(sample);
                    inputs.Add(Describe(property, input, inputs.Count, literal));
                }
                else if (property.GetCustomAttribute<OutputAttribute>() is { } output)
                {
                    var valueType = property.PropertyType.GetGenericArguments()[0];
                    members.Add(Make<ActivityMember>(typeof(OutputMember<,>), valueType, property));
                    outputs.Add(new(property.Name, output.TypeName ?? Alias(valueType), output.DisplayName ?? Words(property.Name), output.Description));
                }
                else if (property.GetCustomAttribute<PortAttribute>() is { } port)
                {
                    if (port.IsBrowsable)
                        members.Add(new PortMember<TActivity>(property));
                    ports.Add(new(property.Name, port.DisplayName ?? Words(property.Name), PortType.Embedded, port.IsBrowsable));
                }
            }

            if (type.GetCustomAttribute<FlowNodeAttribute>() is { } flow)
                ports.AddRange(flow.Outcomes.Select(o => new PortDescriptor(o, o, PortType.Flow)));
            var descriptor = new ActivityDescriptor
            {
                TypeName = $"{attribute.Namespace}.{name}",
                Namespace = attribute.Namespace,
                Name = name,
                Version = attribute.Version,
                Category = attribute.Category,
                DisplayName = attribute.DisplayName ?? Words(name),
                Description = attribute.Description,
                Icon = attribute.Icon,
                Color = attribute.Color,
                Kind = attribute.Kind,
                Inputs = inputs,
                Outputs = outputs,
                Ports = ports,
                IsBrowsable = attribute.IsBrowsable,
                IsContainer = attribute.IsContainer,
                IsStart = attribute.IsStart,
                IsTerminal = attribute.IsTerminal,
                IsResilient = attribute.IsResilient,
                HasEffect = attribute.HasEffect,
                IsRecorded = attribute.IsRecorded,
                RequiredSyntax = attribute.RequiredSyntax,
            };
            var create = System.Linq.Expressions.Expression
                .Lambda<Func<Activity>>(System.Linq.Expressions.Expression.New(type)).Compile();
            return new ActivityType(create, descriptor, [.. members]);
        }

        /// <summary>The binding of an input; null when the activity reads the property itself, because of its shape.</summary>
        private static ActivityMember? InputMember(PropertyInfo property, InputAttribute attribute)
        {
            if (property.PropertyType is { IsGenericType: true } generic && generic.GetGenericTypeDefinition() == typeof(Input<>))
                return Make<ActivityMember>(typeof(InputMember<,>), generic.GetGenericArguments()[0], property, attribute);
            var plain = Nullable.GetUnderlyingType(property.PropertyType) ?? property.PropertyType;
            return plain.IsPrimitive || plain.IsEnum || plain == typeof(string)
                ? Make<ActivityMember>(typeof(PlainMember<,>), property.PropertyType, property)
                : null;
        }

        private static InputDescriptor Describe(PropertyInfo property, InputAttribute attribute, int order, object? literal)
        {
            var isWrapped = property.PropertyType is { IsGenericType: true } generic
                && generic.GetGenericTypeDefinition() == typeof(Input<>);
            var valueType = isWrapped ? property.PropertyType.GetGenericArguments()[0] : property.PropertyType;
            var plain = Nullable.GetUnderlyingType(valueType) ?? valueType;
            return new InputDescriptor(
                property.Name,
                attribute.TypeName ?? Alias(valueType),
                attribute.DisplayName ?? Words(property.Name),
                attribute.Description,
                attribute.Category,
                order,
                attribute.UIHint ?? DefaultHint(plain),
                attribute.DefaultSyntax,
                // A time that nobody chose is no default.
                literal is DateTimeOffset { Ticks: 0 } ? null : literal,
                InputOptions.Of(attribute, plain),
                isWrapped,
                attribute.AutoEvaluate,
                attribute.IsBrowsable,
                attribute.IsSensitive)
            { ShowsAddress = attribute.ShowsAddress };
        }

        private static string DefaultHint(Type type) =>
            type == typeof(bool) ? InputUIHints.CheckBox
            : type.IsEnum || (type.IsGenericType && type.GetGenericTypeDefinition() == typeof(IReadOnlyList<>)) ? InputUIHints.DropDown
            : InputUIHints.SingleLine;

        private static T Make<T>(Type open, Type valueType, params object[] arguments) =>
            (T)Activator.CreateInstance(open.MakeGenericType(typeof(TActivity), valueType), arguments)!;
    }
}
