using System.ComponentModel;
using System.Diagnostics;
using System.Globalization;
using System.Text.RegularExpressions;
using Npgsql;

namespace Conclave.Benchmarks.Durable;

/// <summary>What the machine can do at most: transactions of one inserted row, by pgbench, or by Npgsql where there is none.</summary>
internal static partial class SingleInserts
{
    private const int Seconds = 5;

    public static async Task<double> PerSecondAsync(string connectionString, int clients)
    {
        await using var database = DurableBenchmarks.Open(connectionString);
        await using (var create = database.CreateCommand("create table if not exists conclave.bench_row (id bigint generated always as identity primary key, text text)"))
            await create.ExecuteNonQueryAsync();
        return await PgbenchAsync(new NpgsqlConnectionStringBuilder(connectionString), clients) ?? await NpgsqlAsync(database, clients);
    }

    private static async Task<double?> PgbenchAsync(NpgsqlConnectionStringBuilder connection, int clients)
    {
        var script = Path.GetTempFileName();
        await File.WriteAllTextAsync(script, "insert into conclave.bench_row (text) values ('a row of a bench');");
        try
        {
            var start = new ProcessStartInfo("pgbench") { RedirectStandardOutput = true, RedirectStandardError = true };
            foreach (var argument in (string[])["-n", "-M", "prepared", "-f", script, "-c", $"{clients}", "-j", $"{Math.Min(clients, 2)}", "-T", $"{Seconds}", "-h", connection.Host!, "-U", connection.Username!, connection.Database!])
                start.ArgumentList.Add(argument);
            if (connection.Port != 0)
                start.Environment["PGPORT"] = $"{connection.Port}";
            start.Environment["PGPASSWORD"] = connection.Password;
            using var process = Process.Start(start)!;
            var output = await process.StandardOutput.ReadToEndAsync();
            await process.WaitForExitAsync();
            var match = Tps().Match(output);
            return match.Success ? double.Parse(match.Groups[1].ValueSpan, CultureInfo.InvariantCulture) : null;
        }
        catch (Win32Exception)
        {
            return null;
        }
        finally
        {
            File.Delete(script);
        }
    }

    private static async Task<double> NpgsqlAsync(NpgsqlDataSource database, int clients)
    {
        var count = 0L;
        using var stop = new CancellationTokenSource(TimeSpan.FromSeconds(Seconds));
        await Task.WhenAll(Enumerable.Range(0, clients).Select(_ => Task.Run(async () =>
        {
            while (!stop.IsCancellationRequested)
            {
                await using var command = database.CreateCommand("insert into conclave.bench_row (text) values ('a row of a bench')");
                await command.ExecuteNonQueryAsync();
                Interlocked.Increment(ref count);
            }
        })));
        return count / (double)Seconds;
    }

    [GeneratedRegex(@"tps = ([0-9.]+) \(without initial")]
    private static partial Regex Tps();
}
