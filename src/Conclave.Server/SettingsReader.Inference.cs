using System.Globalization;
using Conclave.Inference;
using Conclave.Inference.Gateway;
using Conclave.Inference.Pool;
using Conclave.Inference.Scheduling;

namespace Conclave.Server;

/// <content>The settings under <c>Inference</c>.</content>
internal sealed partial class SettingsReader
{
    private InferenceOptions Inference()
    {
        var normal = new InferenceOptions();
        OneOf("Inference:Preemption", "true", "false");
        return new InferenceOptions
        {
            Preemption = Flag("Inference:Preemption", normal.Preemption),
            LongestWait = Span("Inference:LongestWait", normal.LongestWait, TimeSpan.FromSeconds(1), TimeSpan.FromDays(1)),
            SnapshotInterval = Span("Inference:SnapshotInterval", normal.SnapshotInterval, TimeSpan.FromMilliseconds(100), TimeSpan.FromHours(1)),
            IdempotencyRetention = Span("Inference:IdempotencyRetention", normal.IdempotencyRetention, TimeSpan.FromMinutes(1), TimeSpan.FromDays(30)),
            IdempotencyLease = Span("Inference:IdempotencyLease", normal.IdempotencyLease, TimeSpan.FromSeconds(2), TimeSpan.FromMinutes(10)),
            CacheRetention = Span("Inference:CacheRetention", normal.CacheRetention, TimeSpan.FromSeconds(1), TimeSpan.FromDays(365)),
            CacheBytes = (long)Number("Inference:CacheMegabytes", (int)(normal.CacheBytes >> 20), 1, 16_384) << 20,
            EmbeddingWindow = Span("Inference:EmbeddingWindow", normal.EmbeddingWindow, TimeSpan.Zero, TimeSpan.FromSeconds(1)),
            EmbeddingBatch = Number("Inference:EmbeddingBatch", normal.EmbeddingBatch, 1, 2_048),
            CallRetention = Retention("Inference:CallRetention"),
        };
    }

    private Uri? InferenceUrl()
    {
        const string Key = "Inference:Url";
        if (Text(Key) is not { } text)
            return null;
        if (!Uri.TryCreate(text, UriKind.Absolute, out var url) || url.Scheme is not ("http" or "https"))
            _problems.Add($"{Key}: '{text}' is no address. Write the one of a server with the role inference, such as http://gateway:5080.");
        if (Text("Inference:ApiKey") is null)
            _problems.Add($"{Key} needs Inference:ApiKey: a key with the rights exec:models and manage:inference.");
        return url;
    }

    private SchedulerOptions Scheduling()
    {
        const string Quantum = "Inference:QuantumTime";
        var normal = new SchedulerOptions();
        OneOf("Inference:Policy", "fifo", "roundrobin");
        OneOf("Inference:StrictArrivalOrder", "true", "false");
        var isRoundRobin = string.Equals(Text("Inference:Policy"), "roundrobin", StringComparison.OrdinalIgnoreCase);
        var options = normal with
        {
            Policy = isRoundRobin ? SchedulingPolicy.RoundRobin : SchedulingPolicy.Fifo,
            StrictArrivalOrder = Flag("Inference:StrictArrivalOrder", normal.StrictArrivalOrder),
            QuantumTokens = Number("Inference:QuantumTokens", normal.QuantumTokens ?? 256, 1, 1_000_000),
            QuantumTime = Text(Quantum) is null ? null : Span(Quantum, TimeSpan.FromSeconds(1), TimeSpan.FromMilliseconds(10), TimeSpan.FromHours(1)),
            Preemption = Flag("Inference:Preemption", normal.Preemption),
            AgeAfter = Span("Inference:AgeAfter", normal.AgeAfter, TimeSpan.Zero, TimeSpan.FromDays(1)),
            BatchWindow = Span("Inference:BatchWindow", normal.BatchWindow, TimeSpan.Zero, TimeSpan.FromMinutes(1)),
            MaxWaiting = Number("Inference:MaxWaiting", normal.MaxWaiting, 1, 1_000_000),
            MaxWaitingPerTenant = Number("Inference:MaxWaitingPerTenant", normal.MaxWaitingPerTenant, 1, 1_000_000),
            MaxWaitingPerFlow = Number("Inference:MaxWaitingPerFlow", normal.MaxWaitingPerFlow, 1, 1_000_000),
            TenantWeights = Weights("Inference:TenantWeights"),
            FlowWeights = Weights("Inference:FlowWeights"),
        };
        // Whoever gives a time alone wants no limit in tokens.
        return options.QuantumTime is not null && Text("Inference:QuantumTokens") is null ? options with { QuantumTokens = null } : options;
    }

    private ServerPoolOptions ModelServers()
    {
        var normal = new ServerPoolOptions();
        OneOf("Inference:DiscoverOllama", "true", "false");
        return new ServerPoolOptions
        {
            HealthInterval = Span("Inference:HealthInterval", normal.HealthInterval, TimeSpan.FromSeconds(1), TimeSpan.FromHours(1)),
            HealthTimeout = Span("Inference:HealthTimeout", normal.HealthTimeout, TimeSpan.FromMilliseconds(100), TimeSpan.FromMinutes(1)),
            BreakerCalls = Number("Inference:BreakerCalls", normal.BreakerCalls, 2, 1_000),
            BreakerFailures = Share("Inference:BreakerFailures", normal.BreakerFailures, 0.05),
            BreakerWindow = Span("Inference:BreakerWindow", normal.BreakerWindow, TimeSpan.FromSeconds(1), TimeSpan.FromMinutes(10)),
            BreakerPause = Span("Inference:BreakerPause", normal.BreakerPause, TimeSpan.FromSeconds(1), TimeSpan.FromMinutes(10)),
            Heartbeat = Span("Inference:Heartbeat", normal.Heartbeat, TimeSpan.FromMilliseconds(200), TimeSpan.FromMinutes(1)),
            DiscoverOllama = Flag("Inference:DiscoverOllama", normal.DiscoverOllama),
            OllamaAddress = OllamaAddress(normal.OllamaAddress),
            Servers = ConfiguredServers(),
        };
    }

    private List<ConfiguredServer> ConfiguredServers()
    {
        List<ConfiguredServer> servers = [.. configuration.GetSection("Inference:Servers").GetChildren().Select(ModelServer).OfType<ConfiguredServer>()];
        foreach (var name in servers.GroupBy(s => s.Server.Name, StringComparer.OrdinalIgnoreCase).Where(g => g.Count() > 1).Select(g => g.Key))
            _problems.Add($"Inference:Servers has more than one server of the name '{name}'. Give each a name of its own.");
        // One that an operator describes is instead of the shipped one.
        return [.. servers, .. Script().Where(s => !servers.Exists(own => own.Server.Name.Equals(s.Server.Name, StringComparison.OrdinalIgnoreCase)))];
    }

    /// <summary>The script that answers where no model server can: for a first start. Real servers go before it by themselves.</summary>
    private IEnumerable<ConfiguredServer> Script()
    {
        const string Key = "Inference:Script";
        // What is wrong with the folder is told where it is read.
        var shipped = Path.Combine(Text("Workflows:Folder") ?? "workflows", "models", "scripted.yaml");
        var file = Text(Key) ?? (File.Exists(shipped) ? shipped : "none");
        if (file.Equals("none", StringComparison.OrdinalIgnoreCase))
            yield break;
        if (!File.Exists(file))
            _problems.Add($"{Key}: there is no file '{file}'. Write 'none' for no script.");
        else
            yield return new ConfiguredServer(new ModelServer { Id = "", Name = "scripted", Provider = "scripted", Address = new Uri(Path.GetFullPath(file)), IsLocal = true }, null);
    }

    private ConfiguredServer? ModelServer(IConfigurationSection section)
    {
        string Key(string name) => $"{section.Path}:{name}";
        var normal = new ModelServer { Id = "", Name = "", Provider = "", Address = new Uri("http://localhost") };
        if (Text(Key("Name")) is not { } name || Text(Key("Provider")) is not { } provider)
        {
            _problems.Add($"{section.Path} needs a Name and a Provider (ollama, openai, openai-compatible, vllm, groq, gemini, huggingface, anthropic or scripted).");
            return null;
        }

        if (!Uri.TryCreate(Text(Key("Address")), UriKind.Absolute, out var address))
        {
            _problems.Add($"{Key("Address")} must be an absolute address, such as http://127.0.0.1:11434.");
            return null;
        }

        OneOf(Key("IsLocal"), "true", "false");
        return new ConfiguredServer(
            normal with
            {
                Name = name,
                Provider = provider,
                Address = address,
                Tenant = Text(Key("Tenant")),
                Slots = Number(Key("Slots"), normal.Slots, 1, 10_000),
                IsLocal = Flag(Key("IsLocal"), normal.IsLocal),
                Tags = (Text(Key("Tags")) ?? "").Split([',', ';', ' '], StringSplitOptions.RemoveEmptyEntries),
                Rank = Number(Key("Rank"), normal.Rank, -1_000, 1_000),
                Timeout = Span(Key("Timeout"), normal.Timeout, TimeSpan.FromSeconds(1), TimeSpan.FromHours(1)),
                Models = [.. configuration.GetSection(Key("Models")).GetChildren().Select(Model).OfType<ServedModel>()],
            },
            Text(Key("ApiKey")));
    }

    private ServedModel? Model(IConfigurationSection section)
    {
        string Key(string name) => $"{section.Path}:{name}";
        if (Text(Key("Name")) is not { } name)
        {
            _problems.Add($"{section.Path} needs a Name.");
            return null;
        }

        ModelCapabilities? capabilities = null;
        if (Text(Key("Capabilities")) is { } text)
        {
            if (Enum.TryParse<ModelCapabilities>(text, ignoreCase: true, out var read))
                capabilities = read;
            else
                _problems.Add($"{Key("Capabilities")} must be some of {string.Join(", ", Enum.GetNames<ModelCapabilities>())}, with commas; it is '{text}'.");
        }

        return new ServedModel
        {
            Name = name,
            Capabilities = capabilities,
            ContextSize = Text(Key("ContextSize")) is null ? null : Number(Key("ContextSize"), 0, 1, int.MaxValue),
            InputPrice = Money(Key("InputPrice")),
            OutputPrice = Money(Key("OutputPrice")),
        };
    }

    // As Ollama reads it: a host, a port or both.
    private Uri OllamaAddress(Uri normal)
    {
        if (Text("OLLAMA_HOST") is not { } text)
            return normal;
        var full = text.Contains("://", StringComparison.Ordinal) ? text : $"http://{text}";
        if (!Uri.TryCreate(full, UriKind.Absolute, out var address) || address.Host.Length == 0)
            return normal;
        var builder = new UriBuilder(address) { Host = address.Host is "0.0.0.0" or "[::]" ? "127.0.0.1" : address.Host };
        if (address.IsDefaultPort && !text.Contains("://", StringComparison.Ordinal))
            builder.Port = 11434;
        return builder.Uri;
    }

    private Dictionary<string, double> Weights(string key)
    {
        var weights = new Dictionary<string, double>();
        foreach (var entry in configuration.GetSection(key).GetChildren())
        {
            if (double.TryParse(entry.Value, NumberStyles.AllowDecimalPoint, CultureInfo.InvariantCulture, out var weight) && weight > 0 && double.IsFinite(weight))
                weights[entry.Key] = weight;
            else
                _problems.Add($"{entry.Path} must be a number above 0; it is '{entry.Value}'.");
        }

        return weights;
    }

    private double Share(string key, double normal, double min)
    {
        if (Text(key) is not { } text)
            return normal;
        if (double.TryParse(text, NumberStyles.AllowDecimalPoint, CultureInfo.InvariantCulture, out var share) && share >= min && share <= 1)
            return share;
        _problems.Add(string.Create(CultureInfo.InvariantCulture, $"{key} must be a number from {min} to 1; it is '{text}'."));
        return normal;
    }

    private decimal? Money(string key)
    {
        if (Text(key) is not { } text)
            return null;
        if (decimal.TryParse(text, NumberStyles.AllowDecimalPoint, CultureInfo.InvariantCulture, out var price))
            return price;
        _problems.Add($"{key} must be a price for a million tokens, such as 0.25; it is '{text}'.");
        return null;
    }

    private bool Flag(string key, bool normal) => Text(key) is { } text ? text.Equals("true", StringComparison.OrdinalIgnoreCase) : normal;
}
