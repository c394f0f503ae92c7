# %% T4.1
def my_chi2(flux, ivar, model):
    return np.sum(ivar * (flux - model) ** 2)


# %% T4.2
threshold = chi2_distribution.ppf(chi2_distribution.cdf(1, 1), 2)

# %% T4.3
cool, hot = solutions()[0]
odds = np.exp(-(hot - cool) / 2)


# %% T4.4
def accept(old, new):
    return min(1.0, np.exp(new - old))


# %% T4.5
correlation = np.corrcoef(samples[:, 0], samples[:, 1])[0, 1]

# %% T4.6
cool, hot = solutions(None)[0]
needed = SNR * np.sqrt(DECISIVE / (hot - cool))
