# %% T1.1
def my_width(wave, flux):
    return np.sum((1 - flux) * np.gradient(wave))


# %% T1.2
gravity = np.interp(equivalent_width(wave, unknown, "H gamma")[0], widths, loggs)

# %% T1.3
strongest = teff[np.argmax(width["He I 4471"])]

# %% T1.4
difference = width["He I 4471"] - width["He II 4541"]
hot = teff > 30_000
equal = np.interp(0, -difference[hot], teff[hot])


# %% T1.5
def to_speed(shift, wave):
    return 299_792.458 * shift / wave


# %% T1.6
poor, solar = equivalent_width(*stars(20_000, mh=[-0.5, 0.0]), "Mg II 4481")
ratio = poor / solar
