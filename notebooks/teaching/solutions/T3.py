# %% T3.1
def error_of_mean(snr, n):
    return 1 / snr / np.sqrt(n)


# %% T3.2
alone = 1 / np.sqrt(np.sum(weight * slope[0] ** 2))

# %% T3.3
fisher = (slope * weight) @ slope.T
least = np.sqrt(np.diag(np.linalg.inv(fisher)))

# %% T3.4
information = weight * slope[1] ** 2
share = information[near_balmer()].sum() / information.sum()

# %% T3.5
longer = (bound()[0] / WANTED) ** 2
