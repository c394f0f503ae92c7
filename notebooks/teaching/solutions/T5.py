# %% T5.1
bias = np.median(wrong[:, 1])


# %% T5.2
def my_pull(found, true, error):
    return (found - true) / error


# %% T5.3
share = np.mean(np.abs(wrong[:, 1] / error[:, 1]) < 1)

# %% T5.4
low, high = np.percentile(pull, [15.87, 84.13])
factor = (high - low) / 2

# %% T5.5
reject = [0, 2, 4]

# %% T5.6
sure = np.mean(np.abs(off[:, 1] / quoted[:, 1]) < 1)
