using System.CommandLine;
using System.Net;
using System.Net.Http.Headers;
using System.Text.Json;
using System.Text.Json.Nodes;

namespace Conclave.Cli.Server;

/// <summary><c>conclave import</c>: definitions from files, folders and zips.</summary>
internal static class ImportCommand
{
    private static readonly MediaTypeHeaderValue Json = new("application/json");

    public static Command Create()
    {
        var sources = new Argument<string[]>("sources")
        {
            Description = "Definitions, folders that hold some, or zips of them.",
            Arity = ArgumentArity.OneOrMore,
        };
        var publish = new Option<bool>("--publish") { Description = "Publish what is imported." };
        var draft = new Option<bool>("--draft") { Description = "Import drafts; without either, each file's isPublished decides." };
        return ServerCommand.Create(
            "import",
            "Store workflow definitions on the server.",
            (session, cancellationToken) => ImportAsync(
                session, session.Get(sources), Mode(session.Get(publish), session.Get(draft)), cancellationToken),
            [sources, publish, draft]);
    }

    private static string Mode(bool publish, bool draft) => (publish, draft) switch
    {
        (true, true) => throw CommandException.BadInput("--publish and --draft exclude each other."),
        (true, _) => "true",
        (_, true) => "false",
        _ => "file",
    };

    private static async Task<int> ImportAsync(ServerSession session, string[] sources, string publish, CancellationToken cancellationToken)
    {
        var (files, zips) = await CollectAsync(sources, cancellationToken);
        List<JsonElement> items = [];
        JsonElement answer = default;
        foreach (var (name, content) in Requests(files, zips))
        {
            answer = await SendAsync(session, publish, content, cancellationToken);
            items.AddRange(answer.Member("items").Items().Select(i => Named(i, name)));
        }

        // One answer is printed as it came; several become one.
        if (session.Screen.IsJson)
            Screen.Json(zips.Count + (files.Count > 0 ? 1 : 0) == 1 ? answer : JsonElement.Parse(Merged(items).ToJsonString()));
        else
            Show(session.Screen, items);
        return items.Any(i => i.Text("outcome") == "refused") ? ExitCodes.Refused : ExitCodes.Finished;
    }

    private static async Task<(List<Source> Files, List<Source> Zips)> CollectAsync(string[] sources, CancellationToken cancellationToken)
    {
        List<Source> files = [];
        List<Source> zips = [];
        foreach (var source in sources)
        {
            if (Directory.Exists(source))
            {
                var folder = new DirectoryInfo(source);
                var found = await DefinitionFiles.InFolderAsync(folder, cancellationToken);
                if (found.Count == 0)
                    throw CommandException.BadInput($"'{source}' holds no workflow definition: no *.json with a root activity.");
                foreach (var file in found)
                    files.Add(new Source(Path.GetRelativePath(folder.FullName, file.FullName).Replace('\\', '/'), await File.ReadAllBytesAsync(file.FullName, cancellationToken)));
                continue;
            }

            if (!File.Exists(source))
                throw CommandException.BadInput($"There is no file or folder '{source}'.");
            var read = new Source(Path.GetFileName(source), await File.ReadAllBytesAsync(source, cancellationToken));
            (read.IsZip ? zips : files).Add(read);
        }

        return (files, zips);
    }

    private static IEnumerable<(string? Name, Func<HttpContent> Content)> Requests(List<Source> files, List<Source> zips)
    {
        if (files.Count == 1)
            yield return (files[0].Name, () => Content(files[0], Json));
        else if (files.Count > 1)
        {
            yield return (null, () => Form(files));
        }

        foreach (var zip in zips)
            yield return (null, () => Content(zip, new MediaTypeHeaderValue("application/zip")));
    }

    private static MultipartFormDataContent Form(List<Source> files)
    {
        var form = new MultipartFormDataContent();
        foreach (var file in files)
            form.Add(Content(file, Json), "files", file.Name);
        return form;
    }

    private static ByteArrayContent Content(Source source, MediaTypeHeaderValue type) => new(source.Content)
    {
        Headers = { ContentType = type },
    };

    private static async Task<JsonElement> SendAsync(
        ServerSession session, string publish, Func<HttpContent> content, CancellationToken cancellationToken)
    {
        try
        {
            return await session.Client.PostAsync(ApiPath.Of("workflows", "import").With("publish", publish), content, cancellationToken);
        }
        catch (ProblemException exception) when (exception.Status == HttpStatusCode.BadRequest
            && exception.Problem.Member("items").ValueKind == JsonValueKind.Array)
        {
            // Nothing was imported; the list says why, file by file.
            return exception.Problem;
        }
    }

    private static void Show(Screen screen, List<JsonElement> items)
    {
        screen.Table(
            items,
            new Column("Workflow", "definitionId") { IsKept = true },
            new Column("Version", "version") { IsNumber = true },
            new Column("Outcome", "outcome") { IsStatus = true },
            new Column("File", "file"));
        foreach (var item in items)
        {
            foreach (var error in Problem.Errors(item))
                Screen.Error($"{item.TextOrNull("file") ?? item.Text("definitionId")}:{error[1..]}");
        }
    }

    // The server does not know what a single file was called.
    private static JsonElement Named(JsonElement item, string? name)
    {
        if (name is null || item.TextOrNull("file") is not null)
            return item;
        var named = JsonObject.Create(item)!;
        named["file"] = name;
        return JsonElement.Parse(named.ToJsonString());
    }

    private static JsonObject Merged(List<JsonElement> items) => new() { ["items"] = new JsonArray([.. items.Select(JsonText.Node)]) };

    private sealed record Source(string Name, byte[] Content)
    {
        public bool IsZip => Content.AsSpan().StartsWith("PK"u8);
    }
}
