using System.Collections.Concurrent;
using System.Text;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Logging;

namespace Conclave.EndToEnd.Telemetry;

/// <summary>A collector that keeps what programs send it: OTLP over HTTP with protobuf.</summary>
/// <remarks>Field numbers are those of opentelemetry-proto 1.9.</remarks>
internal sealed class OtlpReceiver : IAsyncDisposable
{
    private readonly WebApplication _app;

    private OtlpReceiver(WebApplication app) => _app = app;

    public string Url => _app.Urls.First();

    public ConcurrentQueue<ReceivedSpan> Spans { get; } = [];

    /// <summary>Metrics as <c>meter/instrument</c>.</summary>
    public ConcurrentDictionary<string, bool> Metrics { get; } = [];

    /// <summary>Values of <c>service.name</c> that came.</summary>
    public ConcurrentDictionary<string, bool> Services { get; } = [];

    public static async Task<OtlpReceiver> StartAsync()
    {
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.WebHost.UseUrls("http://127.0.0.1:0");
        var receiver = new OtlpReceiver(builder.Build());
        receiver._app.MapPost("/v1/traces", context => receiver.TakeAsync(context, receiver.TakeSpans));
        receiver._app.MapPost("/v1/metrics", context => receiver.TakeAsync(context, receiver.TakeMetrics));
        await receiver._app.StartAsync();
        return receiver;
    }

    public ValueTask DisposeAsync() => _app.DisposeAsync();

    private async Task TakeAsync(HttpContext context, Action<string, Message> take)
    {
        using var body = new MemoryStream();
        await context.Request.Body.CopyToAsync(body);
        // Resource spans and resource metrics: the resource, then parts by source or meter, whose first member names it.
        foreach (var part in new Message(body.ToArray()).All(1))
        {
            if (part.All(1).Select(r => r.Attributes(1)).FirstOrDefault()?.GetValueOrDefault("service.name") is { } service)
                Services[service] = true;
            foreach (var scope in part.All(2))
                take(scope.All(1).Select(s => s.Text(1)).FirstOrDefault() ?? "", scope);
        }

        context.Response.ContentType = "application/x-protobuf";
    }

    private void TakeSpans(string source, Message scope)
    {
        foreach (var span in scope.All(2))
            Spans.Enqueue(new ReceivedSpan(source, span.Text(5), Convert.ToHexStringLower(span.Bytes(1)), span.Attributes(9)));
    }

    private void TakeMetrics(string meter, Message scope)
    {
        foreach (var metric in scope.All(2))
            Metrics[$"{meter}/{metric.Text(1)}"] = true;
    }

    /// <summary>A message of protobuf; only members with a length are kept.</summary>
    private sealed class Message
    {
        private readonly List<(int Field, ReadOnlyMemory<byte> Content)> _members = [];

        public Message(ReadOnlyMemory<byte> content)
        {
            while (!content.IsEmpty)
            {
                var (field, kind) = Math.DivRem((int)Number(ref content), 8);
                var length = kind switch
                {
                    0 => LengthOfNumber(content.Span),
                    1 => 8,
                    2 => (int)Number(ref content),
                    5 => 4,
                    _ => throw new InvalidDataException($"Field {field} has the unknown kind {kind}."),
                };
                if (kind == 2)
                    _members.Add((field, content[..length]));
                content = content[length..];
            }
        }

        public IEnumerable<Message> All(int field) => _members.Where(m => m.Field == field).Select(m => new Message(m.Content));

        public byte[] Bytes(int field) => _members.Find(m => m.Field == field).Content.ToArray();

        public string Text(int field) => Encoding.UTF8.GetString(Bytes(field));

        /// <summary>Attributes that are texts.</summary>
        public Dictionary<string, string> Attributes(int field) => All(field).ToDictionary(a => a.Text(1), a => a.All(2).Select(v => v.Text(1)).FirstOrDefault() ?? "");

        private static ulong Number(ref ReadOnlyMemory<byte> content)
        {
            var length = LengthOfNumber(content.Span);
            ulong number = 0;
            for (var i = 0; i < length; i++)
                number |= (ulong)(content.Span[i] & 0x7f) << (7 * i);
            content = content[length..];
            return number;
        }

        private static int LengthOfNumber(ReadOnlySpan<byte> content)
        {
            var length = 1;
            while ((content[length - 1] & 0x80) != 0)
                length++;
            return length;
        }
    }
}

/// <summary>A span that came.</summary>
internal sealed record ReceivedSpan(string Source, string Name, string TraceId, IReadOnlyDictionary<string, string> Tags);
