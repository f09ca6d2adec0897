using System.Security.Claims;
using Conclave.Agents;
using Conclave.Agents.Approvals;
using Conclave.Server.Accounts;
using Conclave.Workflows.Execution;
using Microsoft.AspNetCore.Components;
using Microsoft.AspNetCore.Components.Authorization;
using Npgsql;

namespace Conclave.Server.Web;

/// <summary>A page that reads from the database once it is interactive, and again when something changes.</summary>
/// <remarks>Draws three states beside the content: loading, failed with the way to try again, and what the account may not see.</remarks>
public abstract class WebPage : ComponentBase, IDisposable
{
    private readonly CancellationTokenSource _leaving = new();
    private bool _isLoading;
    private bool _isStale;

    [Inject]
    private AuthenticationStateProvider Authentication { get; set; } = null!;

    /// <summary>Who looks at the page.</summary>
    protected ClaimsPrincipal User { get; private set; } = new();

    /// <summary>The account of who looks at the page.</summary>
    protected Person Me => new(User.FindFirst(ClaimTypes.NameIdentifier)?.Value ?? "", User.Identity?.Name ?? "");

    /// <summary>Whose data the page shows.</summary>
    protected static string Tenant => Tenants.Default;

    /// <summary>Whether everything was read once.</summary>
    protected bool IsReady { get; private set; }

    /// <summary>Whether the last reading failed.</summary>
    protected bool HasFailed { get; private set; }

    /// <summary>Cancelled when the visitor leaves.</summary>
    protected CancellationToken Leaving => _leaving.Token;

    /// <summary>Whether who looks at the page has a right.</summary>
    protected bool May(string permission) => User.Has(permission);

    /// <summary>Whether something that the visitor asked for is being done.</summary>
    protected bool IsBusy { get; private set; }

    /// <summary>Why the last thing that the visitor asked for was not done; null when it was.</summary>
    protected string? Problem { get; set; }

    /// <summary>What the visitor reads when the database does not answer.</summary>
    protected virtual string NoAnswer => "The database did not answer. Try again.";

    /// <summary>Reads what the page shows.</summary>
    protected abstract Task ReadAsync(CancellationToken cancellationToken);

    /// <summary>Called once, before the first reading; begins to listen for changes.</summary>
    protected virtual void Begin()
    {
    }

    /// <summary>Reads again; what comes meanwhile is read once more afterwards.</summary>
    protected async Task LoadAsync()
    {
        if (_isLoading)
        {
            _isStale = true;
            return;
        }

        _isLoading = true;
        try
        {
            do
            {
                _isStale = false;
                User = (await Authentication.GetAuthenticationStateAsync()).User;
                await ReadAsync(Leaving);
                (IsReady, HasFailed) = (true, false);
            }
            while (_isStale && !Leaving.IsCancellationRequested);
        }
        catch (OperationCanceledException) when (Leaving.IsCancellationRequested)
        {
            // The visitor has left.
        }
        catch (Exception exception) when (exception is NpgsqlException or TimeoutException or InvalidOperationException { InnerException: NpgsqlException })
        {
            HasFailed = true;
        }
        finally
        {
            _isLoading = false;
        }
    }

    /// <summary>Does what the visitor asked for, one thing at a time, and reads again.</summary>
    /// <param name="permission">The right that it needs; null for none. The page may be older than the right.</param>
    /// <param name="act">Does it.</param>
    protected async Task DoAsync(string? permission, Func<Task> act)
    {
        if (IsBusy || (permission is not null && !May(permission)))
            return;
        (IsBusy, Problem) = (true, null);
        try
        {
            await act();
        }
        catch (Exception refused) when (refused is AgentException or ApprovalException or WorkflowException)
        {
            Problem = refused.Message;
        }
        catch (Exception exception) when (exception is NpgsqlException or TimeoutException)
        {
            Problem = NoAnswer;
        }
        finally
        {
            await LoadAsync();
            IsBusy = false;
        }
    }

    /// <summary>Reads again and draws, from whatever thread.</summary>
    protected void Refresh()
    {
        if (Leaving.IsCancellationRequested)
            return;
        _ = InvokeAsync(async () =>
        {
            await LoadAsync();
            StateHasChanged();
        });
    }

    /// <summary>Reads again and again until the visitor leaves.</summary>
    protected void Repeat(TimeProvider clock, TimeSpan interval) => Run(async () =>
    {
        using var timer = new PeriodicTimer(interval, clock);
        while (await timer.WaitForNextTickAsync(Leaving))
            Refresh();
    });

    /// <summary>Does something beside the page until it is done or the visitor leaves; what goes wrong stops the page as if it had happened in it.</summary>
    protected void Run(Func<Task> act) => _ = Task.Run(async () =>
    {
        try
        {
            await act();
        }
        catch (OperationCanceledException)
        {
            // The visitor has left, or nobody looks at it any more.
        }
        catch (Exception exception)
        {
            await DispatchExceptionAsync(exception);
        }
    }, CancellationToken.None);

    /// <inheritdoc/>
    protected sealed override async Task OnInitializedAsync()
    {
        // Drawn once before it is interactive, for the eye: nothing is read twice.
        if (!RendererInfo.IsInteractive)
            return;
        Begin();
        await LoadAsync();
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        Dispose(true);
        GC.SuppressFinalize(this);
    }

    /// <summary>Stops what the page does.</summary>
    protected virtual void Dispose(bool disposing)
    {
        if (!disposing || _leaving.IsCancellationRequested)
            return;
        _leaving.Cancel();
        _leaving.Dispose();
    }
}
