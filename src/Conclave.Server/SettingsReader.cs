using System.Globalization;
using System.Net;
using Npgsql;

namespace Conclave.Server;

/// <summary>Reads <see cref="ServerOptions"/> and collects what is wrong.</summary>
internal sealed partial class SettingsReader(IConfiguration configuration)
{
    private static readonly Dictionary<string, ServerRoles> RoleNames = new(StringComparer.OrdinalIgnoreCase)
    {
        ["web"] = ServerRoles.Web,
        ["worker"] = ServerRoles.Worker,
        ["inference"] = ServerRoles.Inference,
        ["all"] = ServerRoles.All,
    };

    private readonly List<string> _problems = [];

    /// <summary>Reads all settings.</summary>
    /// <exception cref="ServerOptionsException">Some are wrong.</exception>
    public ServerOptions Read()
    {
        var defaults = new ServerOptions { DataFolder = "" };
        var options = new ServerOptions
        {
            Roles = Roles(),
            DataFolder = DataFolder(),
            Urls = Urls(defaults.Urls),
            PublicUrl = PublicUrl(),
            ConnectionString = ConnectionString(),
            WorkflowsFolder = WorkflowsFolder(),
            DrainTimeout = Span("Drain:Timeout", defaults.DrainTimeout, TimeSpan.FromSeconds(1), TimeSpan.FromHours(1)),
            DrainDelay = Span("Drain:Delay", defaults.DrainDelay, TimeSpan.Zero, TimeSpan.FromMinutes(10)),
            WorkerConcurrency = Number("Worker:Concurrency", Math.Min(defaults.WorkerConcurrency, 10_000), 1, 10_000),
            WorkerClaimSize = Number("Worker:ClaimSize", defaults.WorkerClaimSize, 1, 1_000),
            WorkerLease = Span("Worker:Lease", defaults.WorkerLease, TimeSpan.FromSeconds(2), TimeSpan.FromMinutes(10)),
            WorkerPollInterval = Span(
                "Worker:PollInterval", defaults.WorkerPollInterval, TimeSpan.FromMilliseconds(50), TimeSpan.FromMinutes(1)),
            WorkerMaxAttempts = Number("Worker:MaxAttempts", defaults.WorkerMaxAttempts, 1, 1_000),
            JournalRetention = Retention("Retention:Journal"),
            InstanceRetention = Retention("Retention:Instances"),
            ApprovalRetention = Retention("Retention:Approvals"),
            CorsOrigins = Origins(),
            KnownProxies = Proxies(),
            HealthCheckTimeout = Span(
                "Health:CheckTimeout", defaults.HealthCheckTimeout, TimeSpan.FromMilliseconds(100), TimeSpan.FromMinutes(1)),
            AttemptsPerMinute = Number("Accounts:AttemptsPerMinute", defaults.AttemptsPerMinute, 1, 100_000),
            LockoutAttempts = Number("Accounts:LockoutAttempts", defaults.LockoutAttempts, 1, 1_000),
            LockoutTime = Span("Accounts:LockoutTime", defaults.LockoutTime, TimeSpan.FromSeconds(1), TimeSpan.FromDays(1)),
            SessionCheck = Span("Accounts:SessionCheck", defaults.SessionCheck, TimeSpan.Zero, TimeSpan.FromHours(1)),
            KeyEncryptionSecret = KeyEncryptionSecret(),
            MetricsAccess = Enum.TryParse<MetricsAccess>(Text("Metrics:Access"), ignoreCase: true, out var access) ? access : defaults.MetricsAccess,
            Inference = Inference(),
            InferenceUrl = InferenceUrl(),
            InferenceKey = Text("Inference:ApiKey"),
            Scheduling = Scheduling(),
            ModelServers = ModelServers(),
        };
        OneOf("Metrics:Access", "loopback", "everyone", "account");
        OneOf("Logging:Format", "auto", "json", "text");
        OneOf("Telemetry:DatabaseSpans", "true", "false");
        OneOf("Workflows:FlowchartMode", "counter", "token");
        OneOf("Scripting:AllowCSharp", "true", "false");
        return _problems.Count == 0 ? options : throw new ServerOptionsException(_problems);
    }

    private List<string> Origins()
    {
        const string Key = "Cors:AllowedOrigins";
        var origins = new List<string>();
        foreach (var text in List(Key))
        {
            if (text == "*")
                origins.Add(text);
            else if (Uri.TryCreate(text, UriKind.Absolute, out var uri) && uri.Scheme is "http" or "https" && uri.PathAndQuery == "/" && uri.UserInfo.Length == 0)
                origins.Add(uri.GetLeftPart(UriPartial.Authority));
            else
                _problems.Add($"{Key}: '{text}' is no origin. Write scheme, host and port alone, such as https://studio.example.com; several with commas, or * for any.");
        }
        return origins;
    }

    private List<IPNetwork> Proxies()
    {
        const string Key = "Proxy:Known";
        var networks = new List<IPNetwork>();
        foreach (var text in List(Key))
        {
            if (IPNetwork.TryParse(text, out var network))
                networks.Add(network);
            else if (IPAddress.TryParse(text, out var address))
                networks.Add(new IPNetwork(address, address.GetAddressBytes().Length * 8));
            else
                _problems.Add($"{Key}: '{text}' is no address or network. Write those that the proxies ask from, such as 127.0.0.1 or 10.0.0.0/8; several with commas.");
        }
        return networks;
    }

    /// <summary>A text with commas, or a list as JSON files have it.</summary>
    private IEnumerable<string> List(string key) => (Text(key) ?? "").Split([',', ';', ' '], StringSplitOptions.RemoveEmptyEntries)
        .Concat(configuration.GetSection(key).GetChildren().Select(c => c.Value?.Trim()).OfType<string>());

    private TimeSpan? Retention(string key) =>
        Text(key) is null ? null : Span(key, TimeSpan.FromDays(1), TimeSpan.FromDays(1), TimeSpan.FromDays(10_000));

    private string? Text(string key) => configuration[key] is { } text && !string.IsNullOrWhiteSpace(text) ? text.Trim() : null;

    private ServerRoles Roles()
    {
        if (Text("Roles") is not { } text) return ServerRoles.All;
        var roles = ServerRoles.None;
        foreach (var name in text.Split([',', ' ', ';'], StringSplitOptions.RemoveEmptyEntries))
        {
            if (RoleNames.TryGetValue(name, out var role)) roles |= role;
            else _problems.Add($"Roles: '{name}' is no role. The roles are web, worker and inference, with commas in between; without the setting a server has all.");
        }
        if (roles == ServerRoles.None && _problems.Count == 0)
            _problems.Add("Roles names no role. The roles are web, worker and inference; without the setting a server has all.");
        return roles;
    }

    private string DataFolder()
    {
        const string Key = "DataFolder";
        if (Text(Key) is { } folder) return FullPath(Key, folder) ?? "";
        if (Workflows.Runtime.DataFolder.Default() is { } normal) return normal;
        _problems.Add("DataFolder is not set, and this account has no home folder for a default. Set it with --data or CONCLAVE_DATA.");
        return "";
    }

    private string? WorkflowsFolder()
    {
        const string Key = "Workflows:Folder";
        if (Text(Key) is not { } folder)
            return Directory.Exists("workflows") ? Path.GetFullPath("workflows") : null;
        var path = FullPath(Key, folder);
        if (path is not null && !Directory.Exists(path))
            _problems.Add($"{Key}: the folder '{path}' does not exist. Make it, or leave the setting out.");
        return path;
    }

    private string? FullPath(string key, string path)
    {
        try
        {
            var full = Path.GetFullPath(path);
            if (!File.Exists(full)) return full;
            _problems.Add($"{key}: '{full}' is a file; a folder is needed.");
        }
        catch (Exception exception) when (exception is ArgumentException or NotSupportedException or PathTooLongException)
        {
            _problems.Add($"{key}: '{path}' is no path: {exception.Message}");
        }
        return null;
    }

    private string Urls(string normal)
    {
        var text = Text("Urls");
        // Images of ASP.NET Core set ports alone.
        if (text is null && Text("HTTP_PORTS") is { } ports)
            text = string.Join(';', ports.Split(';', StringSplitOptions.RemoveEmptyEntries).Select(p => $"http://*:{p.Trim()}"));
        if (text is null) return normal;
        var urls = text.Split(';', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries);
        foreach (var url in urls)
        {
            if (!IsAddress(url))
                _problems.Add($"Urls: '{url}' is no address to listen on. Write one such as {normal} or http://*:8080; several with semicolons.");
        }
        return urls.Length == 0 ? normal : string.Join(';', urls);
    }

    private string? PublicUrl()
    {
        if (Text("PublicUrl") is not { } text) return null;
        if (Uri.TryCreate(text, UriKind.Absolute, out var url) && url.Scheme is "http" or "https" && url.Query.Length == 0)
            return text.TrimEnd('/');
        _problems.Add($"PublicUrl: '{text}' is no address. Write the one that people reach the server at, such as https://workflows.example.com.");
        return null;
    }

    private static bool IsAddress(string url)
    {
        try
        {
            var address = BindingAddress.Parse(url);
            return address.Scheme is "http" or "https" && (address.IsUnixPipe || address.Port is >= 0 and <= 65_535);
        }
        catch (Exception exception) when (exception is FormatException or InvalidOperationException or OverflowException)
        {
            return false;
        }
    }

    private string? ConnectionString()
    {
        const string Key = "ConnectionStrings:Conclave";
        if (Text(Key) is not { } text) return null;
        try
        {
            if (new NpgsqlConnectionStringBuilder(text).Host is { Length: > 0 }) return text;
            _problems.Add($"{Key} names no Host. Write one such as Host=db;Database=conclave;Username=conclave;Password=…");
        }
        catch (Exception exception) when (exception is ArgumentException or FormatException or InvalidCastException)
        {
            // Neither the text nor the exception's message: both may hold the password.
            _problems.Add($"{Key} is no connection string of PostgreSQL. Write one such as Host=db;Database=conclave;Username=conclave;Password=…");
        }
        return null;
    }

    private string? KeyEncryptionSecret()
    {
        const string Key = "Accounts:KeyEncryptionSecret";
        if (Text(Key) is not { } secret || secret.Length >= 32) return Text(Key);
        _problems.Add($"{Key} must have at least 32 characters, best from a random generator: openssl rand -hex 32");
        return null;
    }

    private int Number(string key, int normal, int min, int max)
    {
        if (Text(key) is not { } text) return normal;
        if (int.TryParse(text, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out var number) && number >= min && number <= max)
            return number;
        _problems.Add(string.Create(CultureInfo.InvariantCulture, $"{key} must be a whole number from {min} to {max}; it is '{text}'."));
        return normal;
    }

    private TimeSpan Span(string key, TimeSpan normal, TimeSpan min, TimeSpan max)
    {
        if (Text(key) is not { } text) return normal;
        // A plain number would be days to TimeSpan, which nobody means.
        var read = double.TryParse(text, NumberStyles.AllowDecimalPoint, CultureInfo.InvariantCulture, out var seconds)
            ? TimeSpan.FromSeconds(Math.Min(seconds, TimeSpan.MaxValue.TotalSeconds / 2))
            : TimeSpan.TryParse(text, CultureInfo.InvariantCulture, out var span) ? span : (TimeSpan?)null;
        if (read >= min && read <= max) return read.Value;
        _problems.Add($"{key} must be a time from {min:c} to {max:c} (hours:minutes:seconds, or seconds as a number); it is '{text}'.");
        return normal;
    }

    private void OneOf(string key, params ReadOnlySpan<string> values)
    {
        if (Text(key) is not { } text) return;
        foreach (var value in values)
        {
            if (value.Equals(text, StringComparison.OrdinalIgnoreCase)) return;
        }
        _problems.Add($"{key} must be {string.Join(" or ", values!)}; it is '{text}'.");
    }
}
